package api

import (
	"bytes"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/mr-tron/base58"
	"github.com/multiformats/go-multihash"
)

// rawKeyLen is the length in bytes of a base58 text that is a raw key without
// further mark: a SHA2-256 digest.
const rawKeyLen = 32

// maxKeyText bounds a key's text in bytes: the longest key (1,024 bytes) in hex.
const maxKeyText = 2*1024 + len("text:")

// Prefixes that say how the rest of a key's text is to be read.
const (
	prefixText = "text:"
	prefixHex  = "hex:"
	prefixB58  = "b58:"
)

// ParseKey reads a key from the command line and returns its bytes on the wire:
//
//	hex:..., b58:..., text:...   the bytes so written
//	/pk/ID, /ipns/NAME           with the peer ID in binary
//	/namespace/...               its bytes
//	base58 of exactly 32 bytes   those bytes
//	a CID, version 0 or 1        its multihash
//	anything else                its UTF-8 bytes
//
// Text that looks like a CID with a typing error is refused, not taken as text.
// The error is an ErrInvalid.
func ParseKey(text string) ([]byte, error) {
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
	if strings.HasPrefix(text, "/") {
		return namespaced(text)
	}
	if raw, err := base58.Decode(text); err == nil && len(raw) == rawKeyLen {
		return raw, nil
	}
	c, err := cid.Decode(text)
	if err == nil {
		return c.Hash(), nil
	}
	if looksLikeCID(text) {
		return nil, Errorf(CodeInvalid, "%q looks like a CID but is none (%v); check it, or write text:%s to use it as text", text, err, text)
	}
	return []byte(text), nil
}

func decoded(text, form string, decode func(string) ([]byte, error), rest string) ([]byte, error) {
	b, err := decode(rest)
	if err != nil {
		return nil, Errorf(CodeInvalid, "the key %q is not %s: %v", text, form, err)
	}
	return b, nil
}

// looksLikeCID recognises the usual CIDs by their beginning and length.
func looksLikeCID(s string) bool {
	if strings.HasPrefix(s, "Qm") {
		return len(s) == 46 && !strings.ContainsAny(s, " -_./:")
	}
	return len(s) >= 55 && (strings.HasPrefix(s, "bafy") || strings.HasPrefix(s, "bafk") || strings.HasPrefix(s, "bafz"))
}

// namespaced turns the peer ID of /pk/ and /ipns/ keys from text to binary.
func namespaced(text string) ([]byte, error) {
	for _, ns := range [...]string{"/pk/", "/ipns/"} {
		name, ok := strings.CutPrefix(text, ns)
		if !ok {
			continue
		}
		id, err := peer.Decode(name)
		if err != nil {
			return nil, Errorf(CodeInvalid, "the key %q: %q is not a peer ID (%v); write %s12D3KooW... or %sk51q...", text, name, err, ns, ns)
		}
		return append([]byte(ns), id...), nil
	}
	return []byte(text), nil
}

// KeyText returns a text that ParseKey reads back to key: for people the best
// of a CID, /namespace/..., plain text, base58 and hex.
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
