package api

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// form is the form of a text, recognised by its prefix.
type form struct {
	prefix string
	fold   bool // case does not matter, because the base has only one case
	what   string
}

// The forms of a text.
const (
	aCID  = "a CID"
	aName = "an IPNS name"
	aPeer = "a peer ID"
)

// forms are the prefixes of the CIDs, IPNS names and peer IDs in use. They are long
// enough not to be words, and no longer, so that typing errors near the beginning are
// detected too.
var forms = [...]form{
	{"Qm", false, aCID},       // version 0: SHA2-256; RSA peers
	{"bafy", true, aCID},      // base32: dag-pb, dag-cbor
	{"bafk", true, aCID},      // raw
	{"bafz", true, aCID},      // libp2p-key
	{"baguqee", true, aCID},   // dag-json
	{"zdj7", false, aCID},     // base58: dag-pb
	{"zdpu", false, aCID},     // dag-cbor
	{"zb2r", false, aCID},     // raw
	{"f01701220", true, aCID}, // base16: dag-pb
	{"f01711220", true, aCID}, // dag-cbor
	{"f01551220", true, aCID}, // raw
	{"uAXASI", false, aCID},   // base64: dag-pb
	{"uAXESI", false, aCID},   // dag-cbor
	{"uAVUSI", false, aCID},   // raw
	{"mAXASI", false, aCID},   // the other base64
	{"mAXESI", false, aCID},   //
	{"mAVUSI", false, aCID},   //
	{"k51", true, aName},      // base36: Ed25519
	{"k2k4r8", true, aName},   // RSA
	{"12D3K", false, aPeer},   // Ed25519
	{"16Uiu", false, aPeer},   // secp256k1
}

// looksLike returns the form that text looks like, or "" if it is plain text. A prefix
// that is not followed by a letter or a digit is plain text.
func looksLike(text string) string {
	for _, f := range forms {
		rest, ok := strings.CutPrefix(text, f.prefix)
		if f.fold {
			rest, ok = cutPrefixFold(text, f.prefix)
		}
		if ok && rest != "" && isAlnum(rune(rest[0])) {
			return f.what
		}
	}
	return ""
}

func isAlnum(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// Errors of a text; bare and its callers add the text.
var (
	errPublicKey = errors.New("the public key in it is damaged")
	errNoPeer    = errors.New("it is the CID of content")
)

// parseCID parses a CID. It accepts only the canonical form of the base: other forms have
// a letter in the wrong case, or lost bits at their end.
func parseCID(text string) (cid.Cid, error) {
	c, err := cid.Decode(text)
	if err != nil {
		return cid.Undef, errors.New(damage(text))
	}
	if c.Version() > 0 { // version 0 has only one form
		base, err := cid.ExtractEncoding(text)
		if err != nil {
			return cid.Undef, errors.New(damage(text))
		}
		if back, err := c.StringOfBase(base); err != nil || back != text {
			return cid.Undef, errors.New(damage(text))
		}
	}
	if c.Type() == cid.Libp2pKey {
		return c, checkPublicKey(peer.ID(c.Hash()))
	}
	return c, nil
}

// checkPublicKey checks the public key that a peer ID may contain.
func checkPublicKey(id peer.ID) error {
	if _, err := id.ExtractPublicKey(); err != nil && !errors.Is(err, peer.ErrNoPublicKey) {
		return errPublicKey
	}
	return nil
}

// ParsePeer parses a peer ID: base58, or the CID that is its IPNS name. Blanks around it
// are ignored. The error is an ErrInvalid.
func ParsePeer(text string) (peer.ID, error) {
	id, err := decodePeer(strings.TrimSpace(text))
	if err != nil {
		return "", Errorf(CodeInvalid, "%q is not a peer ID: %v; write 12D3KooW..., Qm... or k51q...", text, err)
	}
	return id, nil
}

func decodePeer(text string) (peer.ID, error) {
	id, err := peer.Decode(text)
	_, cidErr := parseCID(text)
	switch {
	case err != nil && cidErr == nil:
		return "", errNoPeer
	case err != nil:
		return "", cidErr
	case cidErr != nil && !strings.HasPrefix(text, "1"): // base58 without a prefix is not a CID
		return "", cidErr
	}
	return id, checkPublicKey(id)
}

// alphabets are the characters of the bases by the prefix of a CID. Peer IDs and
// CIDs of version 0 have no prefix and are base58.
var alphabets = map[byte]struct{ name, chars string }{
	'b': {"base32", "abcdefghijklmnopqrstuvwxyz234567"},
	'B': {"base32", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"},
	'k': {"base36", "0123456789abcdefghijklmnopqrstuvwxyz"},
	'K': {"base36", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	'f': {"base16", "0123456789abcdef"},
	'F': {"base16", "0123456789ABCDEF"},
	'z': {"base58", base58Chars},
	'Q': {"base58", base58Chars},
	'1': {"base58", base58Chars},
}

const base58Chars = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// damage returns what is wrong with a text that does not decode, for users.
func damage(text string) string {
	if text == "" {
		return "nothing is there"
	}
	if a, ok := alphabets[text[0]]; ok {
		for i, r := range text {
			if i > 0 && !strings.ContainsRune(a.chars, r) {
				return fmt.Sprintf("character %d is %q, which %s does not use", i+1, r, a.name)
			}
		}
	}
	return "a part is missing, wrong or too much"
}
