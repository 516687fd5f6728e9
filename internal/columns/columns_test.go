package columns

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func print(t testing.TB, width int, header []string, rows ...[]string) string {
	var out bytes.Buffer
	require.NoError(t, (&Table{Header: header, Rows: rows, Width: width}).Write(&out))
	return out.String()
}

func TestTable(t *testing.T) {
	header := []string{"CPL", "PEER", "SEEN", "ADDRESSES"}
	rows := [][]string{
		{"0", "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", "3s ago", "/ip4/192.0.2.1/tcp/4011 /ip4/192.0.2.1/udp/4011/quic-v1"},
		{"12", "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB", "never", ""},
	}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, `
CPL  PEER                                                  SEEN    ADDRESSES
0    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp  3s ago  /ip4/192.0.2.1/tcp/4011 /ip4/192.0.2.1/udp/4011/quic-v1
12   QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB        never
`},
		{110, `
CPL  PEER                                                  SEEN    ADDRESSES
0    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp  3s ago  /ip4/192.0.2.1/tcp/4011
                                                                   /ip4/192.0.2.1/udp/4011/quic-v1
12   QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB        never
`},
		{80, `
CPL  PEER                                                  SEEN
    ADDRESSES
0    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp  3s ago
    /ip4/192.0.2.1/tcp/4011 /ip4/192.0.2.1/udp/4011/quic-v1
12   QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB        never
`},
		{60, `
CPL  PEER
    SEEN    ADDRESSES
0    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
    3s ago  /ip4/192.0.2.1/tcp/4011
            /ip4/192.0.2.1/udp/4011/quic-v1
12   QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB
    never
`},
		{40, `
CPL
    PEER
    SEEN
    ADDRESSES
0
    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXw
    DDUA2kj6vnc6iDEp
    3s ago
    /ip4/192.0.2.1/tcp/4011
    /ip4/192.0.2.1/udp/4011/quic-v1
12
    QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6
    LDXZCtioEB
    never
`},
	} {
		require.Equal(t, strings.TrimPrefix(c.want, "\n"), print(t, c.width, header, rows...), "width %d", c.width)
	}
}

// For any text, no line is wider than the terminal, no text is lost, and a table that
// fits is the same as without a terminal.
func TestNothingIsWiderThanTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`([a-zé]{1,30}|[a-z会]{1,30}|(/[a-z0-9]{1,20}){1,6})?( ([a-z0-9]{1,70}|(/[a-z0-9]{1,12}){1,5})){0,5}`)
		columns := rapid.IntRange(1, 12).Draw(t, "columns")
		row := rapid.SliceOfN(cell, columns, columns)
		table := Table{Header: row.Draw(t, "header"), Rows: rapid.SliceOfN(row, 0, 5).Draw(t, "rows")}
		var plain, folded bytes.Buffer
		require.NoError(t, table.Write(&plain))
		table.Width = rapid.IntRange(60, 200).Draw(t, "width")
		require.NoError(t, table.Write(&folded))
		fits := true
		for line := range strings.SplitSeq(plain.String(), "\n") {
			fits = fits && shown(line) <= table.Width
		}
		for line := range strings.SplitSeq(folded.String(), "\n") {
			require.LessOrEqual(t, shown(line), table.Width)
			require.Equal(t, strings.TrimRight(line, " "), line)
		}
		require.Equal(t, letters(plain.String()), letters(folded.String()))
		if fits {
			require.Equal(t, plain.String(), folded.String())
		}
	})
}

// shown is the width of a line on a terminal: two columns for a Chinese character, one
// for any other.
func shown(line string) (n int) {
	for _, r := range line {
		n++
		if unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}

// Columns stay aligned below wide characters.
func TestWideText(t *testing.T) {
	require.Equal(t, "AGENT   SEEN\n会议/1  3s\nkubo    9s\n", print(t, 0, []string{"AGENT", "SEEN"}, []string{"会议/1", "3s"}, []string{"kubo", "9s"}))
	require.Equal(t, "会\n会\n", Paragraph("会 会", 1)+"\n", "however narrow")
}

// letters counts the characters of a text except blanks.
func letters(text string) map[rune]int {
	n := map[rune]int{}
	for _, r := range text {
		if r != ' ' && r != '\n' {
			n[r]++
		}
	}
	return n
}

func TestFields(t *testing.T) {
	fields := []Field{
		{Name: "Peer ID", Value: "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"},
		{Name: "Records held", Value: "12 provider records, 4 values, and some more words to break"},
		{Name: "Nothing"},
	}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, `
Peer ID:       12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
Records held:  12 provider records, 4 values, and some more words to break
Nothing:
`},
		{60, `
Peer ID:
    12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp
Records held:  12 provider records, 4 values, and some more
               words to break
Nothing:
`},
	} {
		var out bytes.Buffer
		require.NoError(t, Fields(&out, c.width, fields))
		require.Equal(t, strings.TrimPrefix(c.want, "\n"), out.String())
	}
}

func TestWords(t *testing.T) {
	words := []string{"12D3KooW", "/ip4/192.0.2.1/tcp/4011", "/ip4/192.0.2.1/udp/4011/quic-v1"}
	for width, want := range map[int]string{
		0:  "12D3KooW /ip4/192.0.2.1/tcp/4011 /ip4/192.0.2.1/udp/4011/quic-v1\n",
		64: "12D3KooW /ip4/192.0.2.1/tcp/4011 /ip4/192.0.2.1/udp/4011/quic-v1\n",
		63: "12D3KooW\n    /ip4/192.0.2.1/tcp/4011\n    /ip4/192.0.2.1/udp/4011/quic-v1\n",
		30: "12D3KooW\n    /ip4/192.0.2.1/tcp/4011\n    /ip4/192.0.2.1/udp/4011\n    /quic-v1\n",
	} {
		var out bytes.Buffer
		require.NoError(t, Words(&out, width, words))
		require.Equal(t, want, out.String(), width)
	}
}

func TestPaint(t *testing.T) {
	var out bytes.Buffer
	table := Table{Header: []string{"A", "B"}, Rows: [][]string{{"x", "y"}, {"zz", "w"}}, Paint: func(row, column int, piece string) string {
		if row == 1 && column == 0 {
			return "<" + piece + ">"
		}
		return piece
	}}
	require.NoError(t, table.Write(&out))
	require.Equal(t, "A   B\nx   y\n<zz>  w\n", out.String())
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "a?[31mb c?", Printable("a\x1b[31mb c\n"))
}

// Printable replaces each unprintable character and changes no other.
func TestPrintableReplacesOnlyUnprintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		before, after := []rune(text), []rune(Printable(text))
		require.Len(t, after, len(before))
		for i := range before {
			require.True(t, unicode.IsPrint(after[i]))
			if unicode.IsPrint(before[i]) {
				require.Equal(t, before[i], after[i])
			}
		}
		require.Equal(t, string(after), Printable(string(after)))
	})
}
