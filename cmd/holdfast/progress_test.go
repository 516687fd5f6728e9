package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"
)

func TestProgressInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "announced", 100_000, humanize.Comma)
		time.Sleep(time.Second / 2) // never at the same time as a line
		for i := range 25 {
			time.Sleep(time.Second)
			p.at(int64(i+1) * 50)
		}
		p.end()
		require.Equal(t, "announced 450 of 100,000 (0 %), 45 a second, 36m52s to go\n"+
			"announced 950 of 100,000 (0 %), 47 a second, 34m45s to go\n", out.String())
	})
}

// Work that is done at once shows nothing.
func TestProgressOfShortWork(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		p := newProgress(&out, terminal, "saved", 0, bytesText)
		p.at(10)
		p.end()
		require.Empty(t, out.String())
	}
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, true, "saved", 0, bytesText)
		p.at(1 << 20)
		n, err := p.Write(make([]byte, 2<<20))
		require.NoError(t, err)
		require.Equal(t, 2<<20, n)
		time.Sleep(progressTerminal + time.Millisecond)
		synctest.Wait()
		require.Equal(t, "\rsaved 3.0 MiB, 15 MiB a second\x1b[K", out.String())
		out.Reset()
		p.set("a name that is longer than the terminal is wide, of which the end is cut: "+strings.Repeat("x", 80), 1, 2)
		time.Sleep(progressTerminal)
		synctest.Wait()
		require.Len(t, strings.Trim(out.String(), "\r\x1b[K"), 79)
		out.Reset()
		p.set("checked", 5, 5)
		p.end()
		require.True(t, strings.HasPrefix(out.String(), "\rchecked 5 B of 5 B (100 %)"), out.String())
		require.True(t, strings.HasSuffix(out.String(), "\n"))
	})
}

// Work that stalls is shown all the same.
func TestProgressThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "announced", 7, humanize.Comma)
		time.Sleep(2*progressLog + time.Second)
		p.end()
		require.Equal(t, strings.Repeat("announced 0 of 7 (0 %)\n", 2), out.String())
	})
}

// Of some work only the time is known.
func TestProgressOfUnknownLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "checking the database (1.0 GiB)", 0, bytesText)
		time.Sleep(2*progressLog + time.Second)
		p.end()
		require.Equal(t, "checking the database (1.0 GiB), 10s so far\nchecking the database (1.0 GiB), 20s so far\n", out.String())
	})
}

// A backup that is read to its end is still to be checked.
func TestProgressOfARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "reading b.tar", 4<<20, bytesText)
		r := p.reading(bytes.NewReader(make([]byte, 4<<20)), "checking b.tar")
		time.Sleep(5 * time.Second)
		_, err := io.CopyN(io.Discard, r, 1<<20)
		require.NoError(t, err)
		time.Sleep(6 * time.Second)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		p.end()
		require.Equal(t, "reading b.tar 1.0 MiB of 4.0 MiB (25 %), 102 KiB a second, 30s to go\nchecking b.tar, 9s so far\n", out.String())
	})
}
