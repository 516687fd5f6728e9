package api

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/mr-tron/base58"
	"github.com/multiformats/go-multihash"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// rawKeyLen is the length in bytes of a raw key that may be written in base58 without a
// prefix: a SHA2-256 digest.
const rawKeyLen = 32

// maxKeyText bounds a key's text in bytes: the longest key (1,024 bytes) in hex.
const maxKeyText = 2*1024 + len("text:")

// Prefixes that determine how the rest of a key's text is parsed.
const (
	prefixText = "text:"
	prefixHex  = "hex:"
	prefixB58  = "b58:"
)

// ParseKey parses the text form of a key and returns its bytes on the wire:
//
//	hex:..., b58:..., text:...   the bytes so written
//	/pk/ID, /ipns/NAME           with the peer ID in binary; ipns://NAME too
//	/ipfs/CID/..., ipfs://CID    the CID; what follows it is left out
//	/namespace/...               its bytes
//	a CID, version 0 or 1        its multihash
//	a peer ID                    its bytes
//	base58 of exactly 32 bytes   those bytes
//	anything else                its UTF-8 bytes
//
// Blanks around it are ignored, except those after text:. Text that looks like a damaged
// CID, IPNS name or peer ID is rejected, not used as plain text. The error is an
// ErrInvalid.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	if !strings.HasPrefix(text, prefixText) {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	}
	if len(text) > maxKeyText {
		return nil, Errorf(CodeInvalid, "the key has %d characters; at most %d are allowed", len(text), maxKeyText)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 {
		return nil, Errorf(CodeInvalid, "the key %q is empty; give a CID, /namespace/..., hex:..., b58:... or text", text)
	}
	return key, nil
}

// MaxContentKey bounds the key of content in bytes.
const MaxContentKey = records.MaxKeyLen

// ParseContentKey is ParseKey for the key of content, which is shorter than others.
func ParseContentKey(text string) ([]byte, error) {
	key, err := ParseKey(text)
	if err == nil && len(key) > MaxContentKey {
		return nil, Errorf(CodeInvalid, "the key %q has %d bytes; the key of content has at most %d", text, len(key), MaxContentKey)
	}
	return key, err
}

// SortKeys sorts keys by their position in the keyspace, in place, and removes
// duplicates. Many keys are stored fastest in this order.
func SortKeys(keys [][]byte) [][]byte {
	type placed struct {
		at  kad.Key
		key []byte
	}
	all := make([]placed, len(keys))
	for i, key := range keys {
		all[i] = placed{kad.KeyOf(key), key}
	}
	slices.SortFunc(all, func(a, b placed) int { return kad.Compare(&a.at, &b.at) })
	all = slices.CompactFunc(all, func(a, b placed) bool { return a.at == b.at })
	for i := range all {
		keys[i] = all[i].key
	}
	return keys[:len(all)]
}

func parseKey(text string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(text, prefixText); ok {
		return []byte(rest), nil
	}
	if rest, ok := strings.CutPrefix(text, prefixHex); ok {
		return decoded(text, "hexadecimal", hex.DecodeString, rest)
	}
	if rest, ok := strings.CutPrefix(text, prefixB58); ok {
		return decoded(text, "base58", base58.Decode, rest)
	}
	for _, mark := range [...]string{"/ipfs/", "ipfs://"} {
		if rest, ok := cutPrefixFold(text, mark); ok {
			return content(text, rest)
		}
	}
	if name, ok := cutPrefixFold(text, "ipns://"); ok {
		text = "/ipns/" + strings.TrimSuffix(name, "/")
	}
	if strings.HasPrefix(text, "/") {
		return namespaced(text)
	}
	return bare(text)
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func decoded(text, form string, decode func(string) ([]byte, error), rest string) ([]byte, error) {
	b, err := decode(rest)
	if err != nil {
		return nil, Errorf(CodeInvalid, "the key %q is not %s: %v", text, form, err)
	}
	return b, nil
}

// content parses the CID at the beginning of a path.
func content(text, path string) ([]byte, error) {
	if i := strings.IndexAny(path, "/?#"); i >= 0 {
		path = path[:i]
	}
	c, err := parseCID(path)
	if err != nil {
		return nil, Errorf(CodeInvalid, "the key %q: %q is not a CID: %v", text, path, err)
	}
	return c.Hash(), nil
}

// namespaced converts the peer ID of /pk/ and /ipns/ keys from text to binary.
func namespaced(text string) ([]byte, error) {
	for _, ns := range [...]string{"/pk/", "/ipns/"} {
		name, ok := strings.CutPrefix(text, ns)
		if !ok {
			continue
		}
		id, err := decodePeer(name)
		if err != nil {
			return nil, Errorf(CodeInvalid, "the key %q: %q is not a peer ID: %v; write %s12D3KooW... or %sk51q...", text, name, err, ns, ns)
		}
		return append([]byte(ns), id...), nil
	}
	return []byte(text), nil
}

// bare parses text without a prefix: a CID, a peer ID, a raw key or plain text.
func bare(text string) ([]byte, error) {
	what := looksLike(text)
	if what == aPeer {
		id, err := decodePeer(text)
		if err != nil {
			return nil, damaged(text, what, err)
		}
		return []byte(id), nil
	}
	c, err := parseCID(text)
	if err == nil {
		return c.Hash(), nil
	}
	if what != "" {
		return nil, damaged(text, what, err)
	}
	if raw, err := base58.Decode(text); err == nil && len(raw) == rawKeyLen {
		return raw, nil
	}
	return []byte(text), nil
}

func damaged(text, what string, reason error) error {
	return Errorf(CodeInvalid, "%q looks like %s, but %v; check it, or write text:%s to use it as plain text", text, what, reason, text)
}

// KeyText returns a text that ParseKey parses back to key: the most readable of a peer
// ID, a CID, /namespace/..., plain text, base58 and hex.
func KeyText(key []byte) string {
	for _, text := range candidates(key) {
		if back, err := ParseKey(text); err == nil && bytes.Equal(back, key) {
			return text
		}
	}
	return prefixHex + hex.EncodeToString(key)
}

func candidates(key []byte) []string {
	var texts []string
	for _, ns := range [...]string{"/pk/", "/ipns/"} {
		if id, ok := bytes.CutPrefix(key, []byte(ns)); ok {
			texts = append(texts, ns+peer.ID(id).String())
		}
	}
	if isPrintable(key) {
		return append(texts, string(key), prefixText+string(key))
	}
	if pub, err := peer.ID(key).ExtractPublicKey(); err == nil && pub != nil {
		texts = append(texts, peer.ID(key).String())
	}
	if h, err := multihash.Cast(key); err == nil {
		texts = append(texts, cid.NewCidV1(cid.Raw, h).String())
	}
	if len(key) == rawKeyLen {
		texts = append(texts, base58.Encode(key))
	}
	return texts
}

func isPrintable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
