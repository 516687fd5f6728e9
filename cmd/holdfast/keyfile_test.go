package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

const (
	someCID  = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	sameCID  = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n" // of the same content
	otherCID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
)

func TestKeyFile(t *testing.T) {
	longest := strings.Repeat(" ", maxFileLine-len(someCID)) + someCID
	for name, c := range map[string]struct {
		text  string
		want  []string
		wrong []string
	}{
		"one a line":           {text: someCID + "\n" + otherCID + "\n", want: []string{someCID, otherCID}},
		"without a last end":   {text: someCID + "\n" + otherCID, want: []string{someCID, otherCID}},
		"line ends of CRLF":    {text: someCID + "\r\n" + otherCID + "\r\n", want: []string{someCID, otherCID}},
		"byte order mark":      {text: "\ufeff" + someCID + "\r\n", want: []string{someCID}},
		"blank lines":          {text: "\n \t\n" + someCID + "\n\r\n\n", want: []string{someCID}},
		"blanks around":        {text: "  " + someCID + "\t \n", want: []string{someCID}},
		"comments":             {text: "# cats\n  # dogs\n" + someCID + "\n#\n", want: []string{someCID}},
		"plain text":           {text: "any key\nmy-content-identifier\ntext:# no comment\n", want: []string{"any key", "my-content-identifier", "text:# no comment"}},
		"text with its blanks": {text: "text: a \r\n", want: []string{"text: a "}},
		"repeated":             {text: someCID + "\n" + otherCID + "\n" + someCID + "\n" + sameCID + "\n", want: []string{someCID, otherCID}},
		"nothing":              {text: "\n# nothing\n"},
		"damaged": {
			text: "# list\n" + someCID + "\nbafkreiNOTACID\n\nQmdfoo\n" + otherCID + "\n", want: []string{someCID, otherCID},
			wrong: []string{`f:3: "bafkreiNOTACID" looks like a CID`, `f:5: "Qmdfoo" looks like a CID`},
		},
		"a second column":  {text: someCID + " recursive\n", wrong: []string{"f:1: ", "character 60 is ' '"}},
		"not text":         {text: "ok\n\xff\xfe\n\x00\n", want: []string{"ok"}, wrong: []string{"f:2: the line is not text in UTF-8", "f:3: the line is not text"}},
		"very long lines":  {text: "a\n" + strings.Repeat("x", 3*maxFileLine) + "\nb\n" + strings.Repeat("x", 3*maxFileLine), want: []string{"a", "b"}, wrong: []string{fmt.Sprintf("f:2: the line has more than %d bytes", maxFileLine), "f:4: the line has"}},
		"the longest line": {text: longest + "\n" + longest, want: []string{someCID}},
		"a longer line":    {text: " " + longest + "\na\n " + longest, want: []string{"a"}, wrong: []string{"f:1: the line has more than", "f:3: the line has more than"}},
		"the longest key":  {text: strings.Repeat("x", api.MaxContentKey) + "\n" + strings.Repeat("x", api.MaxContentKey+1), want: []string{strings.Repeat("x", api.MaxContentKey)}, wrong: []string{"f:2: ", "has 81 bytes; the key of content has at most 80"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &keyFile{name: "f"}
			require.NoError(t, f.read(iotest.OneByteReader(strings.NewReader(c.text)), maxFileKeys))
			var want [][]byte
			for _, text := range c.want {
				key, err := api.ParseKey(text)
				require.NoError(t, err)
				want = append(want, key)
			}
			require.ElementsMatch(t, want, f.keys)
			for _, says := range c.wrong {
				require.Contains(t, f.list(), says)
			}
			require.Equal(t, len(c.wrong) == 0, f.wrongs == 0)
		})
	}
}

func TestKeyFileThatCannotBeRead(t *testing.T) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		require.ErrorContains(t, (&keyFile{}).read(strings.NewReader(mark+"b\x00"), maxFileKeys), "UTF-16; save it as UTF-8")
	}
	broken := errors.New("broken")
	require.ErrorIs(t, (&keyFile{}).read(iotest.ErrReader(broken), maxFileKeys), broken)
}

func TestKeyFileWithTooManyKeys(t *testing.T) {
	require.NoError(t, (&keyFile{}).read(strings.NewReader("# three\na\nb\nb"), 3))
	require.EqualError(t, (&keyFile{}).read(strings.NewReader("# four\na\nb\nb\nb"), 3), "it has more than 3 keys; split it")
}

// A file with a wrong line is rejected whole, unless --skip-invalid is set.
func TestReadKeyFile(t *testing.T) {
	var errs bytes.Buffer
	text := someCID + "\n" + strings.Repeat("Qmdfoo\n", maxBadLines+3)
	read := func(skip bool) (*keyFile, error) {
		return (&keyFlags{file: "-", skip: skip}).read(strings.NewReader(text), &errs)
	}
	_, err := read(false)
	require.ErrorContains(t, err, "standard input: 13 lines that are not keys: nothing was done; correct the file, or ignore them with --skip-invalid\n  standard input:2: ")
	require.ErrorContains(t, err, "\n  and 3 more")
	require.Equal(t, maxBadLines+1, strings.Count(err.Error(), "\n"))
	require.Empty(t, errs.String())

	f, err := read(true)
	require.NoError(t, err)
	require.Len(t, f.keys, 1)
	require.Contains(t, errs.String(), "holdfast: standard input: 13 lines that are not keys left out\n  standard input:2: ")

	text = "Qmdfoo\n"
	_, err = read(false)
	require.ErrorContains(t, err, "standard input: 1 line that is not a key")
	_, err = read(true)
	require.ErrorContains(t, err, "standard input has no keys")
}

func FuzzKeyFile(f *testing.F) {
	for _, s := range []string{"", "\ufeffa\r\n", "# c\nQmdfoo\nb", someCID + "\n\n" + someCID, strings.Repeat("x", maxFileLine+1) + "\ny", "\xff\xfe"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k := &keyFile{name: "f"}
		if k.read(bytes.NewReader(data), maxFileKeys) != nil {
			return
		}
		require.LessOrEqual(t, len(k.keys)+k.wrongs, 1+bytes.Count(data, []byte("\n")))
		require.Len(t, k.wrong, min(k.wrongs, maxBadLines))
		for _, key := range k.keys {
			require.NotEmpty(t, key)
			require.LessOrEqual(t, len(key), api.MaxContentKey)
		}
	})
}
