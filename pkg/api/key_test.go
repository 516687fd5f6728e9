package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

const (
	edPeer  = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
	rsaPeer = "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"
	cidV0   = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
	cidV1   = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	mhHex   = "1220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestParseKey(t *testing.T) {
	ed, err := peer.Decode(edPeer)
	require.NoError(t, err)
	seed := sha256.Sum256([]byte("py-libp2p kademlia example value"))
	for _, c := range []struct {
		text string
		want []byte
	}{
		{cidV0, unhex(t, mhHex)},
		{cidV1, unhex(t, mhHex)},
		{"/pk/" + edPeer, append([]byte("/pk/"), ed...)},
		{"/ipns/" + edPeer, append([]byte("/ipns/"), ed...)},
		{"/ipns/" + peer.ToCid(ed).String(), append([]byte("/ipns/"), ed...)},
		{"/example/my-example-key", []byte("/example/my-example-key")},
		{"hex:00ff", []byte{0, 0xff}},
		{"b58:" + edPeer, []byte(ed)},
		{"FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP", seed[:]},
		{"text:FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP", []byte("FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP")},
		{"text:" + cidV0, []byte(cidV0)},
		{"my-content-identifier", []byte("my-content-identifier")},
		{"grüße", []byte("grüße")},
		{edPeer, []byte(edPeer)},
		{"hello", []byte("hello")},
		{"text:hex:zz", []byte("hex:zz")},
	} {
		have, err := ParseKey(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, have, c.text)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                        "empty",
		"text:":                   "empty",
		"hex:":                    "empty",
		"hex:xyz":                 "not hexadecimal",
		"b58:0OIl":                "not base58",
		"/ipns/example.com":       `"example.com" is not a peer ID`,
		"/pk/":                    "not a peer ID",
		cidV1[:58] + "1":          "looks like a CID",
		cidV0[:45] + "0":          "looks like a CID",
		strings.Repeat("x", 3000): "at most",
	} {
		_, err := ParseKey(text)
		require.ErrorIs(t, err, ErrInvalid, text)
		require.ErrorContains(t, err, says)
	}
}

func TestKeyText(t *testing.T) {
	ed, err := peer.Decode(edPeer)
	require.NoError(t, err)
	for _, c := range []struct {
		key  []byte
		want string
	}{
		{unhex(t, mhHex), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
		{[]byte("/example/k"), "/example/k"},
		{[]byte("plain"), "plain"},
		{[]byte("hex:1"), "text:hex:1"},
		{append([]byte("/ipns/"), ed...), "/ipns/" + edPeer},
		{bytes.Repeat([]byte{7}, 32), "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"},
		{[]byte{0, 1}, "hex:0001"},
	} {
		require.Equal(t, c.want, KeyText(c.key))
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{cidV0, cidV1, edPeer, "/pk/" + rsaPeer, "/ipns/" + edPeer, "hex:00", "b58:11", "text:x", "/", "f01550000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseKey(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		if len(key) > 1024 {
			return
		}
		back, err := ParseKey(KeyText(key))
		require.NoError(t, err)
		require.Equal(t, key, back)
	})
}

func FuzzKeyText(f *testing.F) {
	f.Add([]byte("/pk/\x12\x20"))
	f.Add(bytes.Repeat([]byte("a"), 32))
	f.Fuzz(func(t *testing.T, key []byte) {
		if len(key) == 0 || len(key) > 1024 {
			return
		}
		back, err := ParseKey(KeyText(key))
		require.NoError(t, err)
		require.Equal(t, key, back)
	})
}
