package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

const (
	edPeer   = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
	rsaPeer  = "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"
	secpPeer = "16Uiu2HAm7BrZ8UoLphU7bMiqkY1UtbF1cg4rzDhqtBe2DPHsgqGP"
	cidV0    = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
	cidV1    = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	mhHex    = "1220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

const ipnsName = "k51qzi5uqu5dja9ofyttg6np70uqs8g46cdt79g635yovojetqy5btgz37in49"

func TestParseKey(t *testing.T) {
	ed, err := peer.Decode(edPeer)
	require.NoError(t, err)
	rsa, err := peer.Decode(rsaPeer)
	require.NoError(t, err)
	secp, err := peer.Decode(secpPeer)
	require.NoError(t, err)
	seed := sha256.Sum256([]byte("py-libp2p kademlia example value"))
	mh := unhex(t, mhHex)
	words := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		text string
		want []byte
	}{
		// CIDs, in each base.
		{cidV0, mh},
		{cidV1, mh},
		{strings.ToUpper(cidV1), mh},
		{"f01701220" + mhHex[4:], mh},
		{"F01701220" + strings.ToUpper(mhHex[4:]), mh},
		{"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", mh},
		// Paths and addresses of content.
		{"/ipfs/" + cidV1, mh},
		{"/ipfs/" + cidV0 + "/", mh},
		{"/ipfs/" + cidV0 + "/readme.txt", mh},
		{"ipfs://" + cidV1, mh},
		{"ipfs://" + cidV1 + "/wiki/Main page?filename=x#top", mh},
		{"IPFS://" + cidV1, mh},
		// Blanks around it.
		{"  " + cidV1 + " \t\r\n", mh},
		{" /ipfs/" + cidV1 + " ", mh},
		{" hex:00ff ", []byte{0, 0xff}},
		{" hello\n", words("hello")},
		{"  text: a b ", words(" a b ")},
		// Peer IDs and IPNS names.
		{edPeer, []byte(ed)},
		{rsaPeer, []byte(rsa)},
		{secpPeer, []byte(secp)},
		{" " + edPeer + " ", []byte(ed)},
		{ipnsName, ipnsID(t)},
		{peer.ToCid(ed).String(), []byte(ed)},
		{"/pk/" + edPeer, append([]byte("/pk/"), ed...)},
		{"/ipns/" + edPeer, append([]byte("/ipns/"), ed...)},
		{"/ipns/" + rsaPeer, append([]byte("/ipns/"), rsa...)},
		{"/ipns/" + peer.ToCid(ed).String(), append([]byte("/ipns/"), ed...)},
		{"/ipns/" + ipnsName, append([]byte("/ipns/"), ipnsID(t)...)},
		{"ipns://" + ipnsName, append([]byte("/ipns/"), ipnsID(t)...)},
		// Bytes.
		{"hex:00ff", []byte{0, 0xff}},
		{"b58:" + edPeer, []byte(ed)},
		{"FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP", seed[:]},
		{"text:FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP", words("FVDjasarSFDoLPMdgnp1dHSbW2ZAfN8NU2zNbCQeczgP")},
		{"text:" + cidV0, words(cidV0)},
		{"text:" + edPeer, words(edPeer)},
		{"text:bafybad", words("bafybad")},
		{"text:hex:zz", words("hex:zz")},
		// Plain text, which must not be mistaken for another form.
		{"/example/my-example-key", words("/example/my-example-key")},
		{"/example/greeting", words("/example/greeting")},
		{"my-content-identifier", words("my-content-identifier")},
		{"any key", words("any key")},
		{"grüße", words("grüße")},
		{"hello", words("hello")},
		{"11", words("11")},
		{"k5", words("k5")},
		{"k51", words("k51")},
		{"Qm", words("Qm")},
		{"bafy", words("bafy")},
		{"bafy!", words("bafy!")},
		{"baguette", words("baguette")},
		{"qmail", words("qmail")},
		{"zebra", words("zebra")},
		{"12D", words("12D")},
		{strings.Repeat("x", maxKeyText), words(strings.Repeat("x", maxKeyText))},
		{"# not a comment here", words("# not a comment here")},
		{mhHex[4:], words(mhHex[4:])}, // a digest in hex was always text
	} {
		have, err := ParseKey(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, have, c.text)
	}
}

// ipnsID is the peer ID of ipnsName.
func ipnsID(t *testing.T) []byte {
	t.Helper()
	id, err := peer.Decode(ipnsName)
	require.NoError(t, err)
	return []byte(id)
}

func TestParseKeyRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                                "empty",
		" ":                               "empty",
		"text:":                           "empty",
		"hex:":                            "empty",
		"hex:xyz":                         "not hexadecimal",
		"b58:0OIl":                        "not base58",
		strings.Repeat("x", maxKeyText+1): "at most",

		// A character that the base does not have.
		cidV1[:58] + "1":                    "looks like a CID, but character 59 is '1', which base32 does not use",
		cidV1[:20] + "O" + cidV1[21:]:       "looks like a CID, but character 21 is 'O', which base32 does not use",
		cidV0[:45] + "0":                    "looks like a CID, but character 46 is '0', which base58 does not use",
		ipnsName[:30] + "_" + ipnsName[31:]: "looks like an IPNS name, but character 31 is '_', which base36 does not use",
		edPeer[:30] + "l" + edPeer[31:]:     "looks like a peer ID, but character 31 is 'l', which base58 does not use",
		cidV1 + " recursive":                "character 60 is ' '",
		cidV1 + ",":                         "character 60 is ','",
		cidV0 + "\u200b":                    "looks like a CID",
		// A letter in the wrong case, or the bits of the last letter that are zero.
		cidV1[:58] + "X": "character 59 is 'X'",
		cidV1[:58] + "v": "looks like a CID, but a part is missing, wrong or too much",
		"B" + cidV1[1:]:  "looks like a CID",
		// Cut, or too long.
		"Qmdfoo":            "looks like a CID, but a part is missing",
		"bafkreiNOTACID":    "looks like a CID",
		cidV0[:45]:          "looks like a CID, but a part is missing",
		cidV0[:43]:          "looks like a CID, but a part is missing",
		cidV0[:20]:          "looks like a CID, but a part is missing",
		cidV0 + "n":         "looks like a CID, but a part is missing",
		cidV1[:40]:          "looks like a CID",
		cidV1 + "aa":        "looks like a CID",
		ipnsName[:61]:       "looks like an IPNS name",
		ipnsName + "0":      "looks like an IPNS name",
		edPeer[:40]:         "looks like a peer ID",
		edPeer + "x":        "looks like a peer ID",
		"12D3KooX":          "looks like a peer ID",
		secpPeer[:52] + "1": "looks like a peer ID",
		// Paths and addresses.
		"/ipfs/":                     `"" is not a CID: nothing is there`,
		"/ipfs/notacid/x":            `"notacid" is not a CID`,
		"/ipfs/" + cidV1[:50] + "/x": "is not a CID",
		"ipfs://" + cidV0[:45]:       "is not a CID",
		"ipfs://example.com":         `"example.com" is not a CID`,
		"/ipns/example.com":          `"example.com" is not a peer ID`,
		"/ipns/" + ipnsName[:61]:     "is not a peer ID",
		"/ipns/" + cidV1:             "it is the CID of content",
		"ipns://" + edPeer[:51]:      "is not a peer ID",
		"/pk/":                       "is not a peer ID: nothing is there",
	} {
		_, err := ParseKey(text)
		require.ErrorIs(t, err, ErrInvalid, text)
		require.ErrorContains(t, err, says, text)
		if strings.Contains(says, "looks like") {
			require.ErrorContains(t, err, "text:"+text+" to use it as plain text")
		}
	}
}

// A CID has no checksum, so a text that differs from one in a single character may be a
// valid CID of other content. All other such texts are rejected, not used as plain text.
func TestOneWrongCharacter(t *testing.T) {
	const chars = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_ "
	for _, good := range []string{cidV0, cidV1, ipnsName, edPeer, secpPeer} {
		for i := 6; i < len(good); i++ {
			for _, c := range chars {
				text := good[:i] + string(c) + good[i+1:]
				key, err := ParseKey(text)
				require.NotEqual(t, []byte(text), key, text)
				if err != nil {
					require.ErrorIs(t, err, ErrInvalid, text)
				}
			}
		}
	}
}

func TestParseContentKey(t *testing.T) {
	key, err := ParseContentKey(strings.Repeat("x", MaxContentKey))
	require.NoError(t, err)
	require.Len(t, key, 80)
	_, err = ParseContentKey(strings.Repeat("x", MaxContentKey+1))
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "has 81 bytes; the key of content has at most 80")
	_, err = ParseContentKey("Qmdfoo")
	require.ErrorIs(t, err, ErrInvalid)
}

func TestSortKeys(t *testing.T) {
	keys := [][]byte{[]byte("b"), []byte("a"), []byte("b"), []byte("c"), []byte("a")}
	sorted := SortKeys(keys)
	require.Len(t, sorted, 3)
	for i, key := range sorted[1:] {
		before, at := kad.KeyOf(sorted[i]), kad.KeyOf(key)
		require.Negative(t, kad.Compare(&before, &at))
	}
	require.Empty(t, SortKeys(nil))
}

func TestParsePeer(t *testing.T) {
	ed, err := peer.Decode(edPeer)
	require.NoError(t, err)
	for _, text := range []string{edPeer, " " + edPeer + "\n", peer.ToCid(ed).String()} {
		id, err := ParsePeer(text)
		require.NoError(t, err, text)
		require.Equal(t, ed, id, text)
	}
	for text, says := range map[string]string{
		"":                  "nothing is there",
		"12D3":              `"12D3" is not a peer ID`,
		edPeer[:51]:         "a part is missing",
		cidV1:               "it is the CID of content",
		ipnsName[:61]:       "a part is missing",
		secpPeer[:52] + "1": "is not a peer ID",
	} {
		_, err := ParsePeer(text)
		require.ErrorIs(t, err, ErrInvalid, text)
		require.ErrorContains(t, err, says, text)
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
		{[]byte(ed), edPeer},
		{[]byte(edPeer), "text:" + edPeer},
		{[]byte("bafyfoo"), "text:bafyfoo"},
		{[]byte(" a "), "text: a "},
		{bytes.Repeat([]byte{7}, 32), "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"},
		{[]byte{0, 1}, "hex:0001"},
	} {
		require.Equal(t, c.want, KeyText(c.key))
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{cidV0, cidV1, edPeer, "/pk/" + rsaPeer, "/ipns/" + edPeer, "hex:00", "b58:11", "text:x", "/", "f01550000", ipnsName, secpPeer,
		"/ipfs/" + cidV1 + "/x", "ipfs://" + cidV0, " text: a ", "ipns://" + ipnsName, cidV1 + "x", cidV0[:43], "any key"} {
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
