package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
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

// Work that ends at once shows nothing.
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
		p.set("a name that is longer than the terminal is wide: "+strings.Repeat("x", 80)+" to the end", 1, 2)
		time.Sleep(progressTerminal)
		synctest.Wait()
		require.Equal(t, "\ra name that is longer than th...xxxxxxxxxxxxxxxxxx to the end 1 B of 2 B (50 %)\x1b[K", out.String())
		out.Reset()
		p.set("checked", 5, 5)
		p.end()
		require.True(t, strings.HasPrefix(out.String(), "\rchecked 5 B of 5 B (100 %)"), out.String())
		require.True(t, strings.HasSuffix(out.String(), "\n"))
	})
}

// A simulation shows its progress like all long work, in simulated time.
func TestProgressOfASimulation(t *testing.T) {
	p := (&app{errs: &bytes.Buffer{}}).simulated(24 * time.Hour)
	defer p.end()
	p.at(int64(6 * time.Hour))
	require.Equal(t, "simulated 6h0m of 24h0m (25 %), 36m0s a second, 30s to go", p.line(10*time.Second))
}

// A name is cut between characters, not inside one.
func TestProgressFits(t *testing.T) {
	p := progress{what: "reading größenänderung.tar"}
	require.Equal(t, "reading größenänderung.tar 5 B", p.fit("reading größenänderung.tar 5 B", 30))
	require.Equal(t, "reading grö...nderung.tar 5 B", p.fit("reading größenänderung.tar 5 B", 29))
	wide := progress{what: "reading 会议会议.tar"}
	require.Equal(t, "reading...议.tar 5 B", wide.fit("reading 会议会议.tar 5 B", 21), "two columns to a letter")
	require.Equal(t, "... 5", p.fit("reading größenänderung.tar 5 B", 5))
}

// Stalled work is still shown.
func TestProgressThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "announced", 7, humanize.Comma)
		time.Sleep(2*progressLog + time.Second)
		p.end()
		require.Equal(t, strings.Repeat("announced 0 of 7 (0 %)\n", 2), out.String())
	})
}

// For some work only the time is known.
func TestProgressOfUnknownLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "checking the database (1.0 GiB)", 0, bytesText)
		time.Sleep(2*progressLog + time.Second)
		p.end()
		require.Equal(t, "checking the database (1.0 GiB), 10s so far\nchecking the database (1.0 GiB), 20s so far\n", out.String())
	})
}

// Progress may exceed the counters of a damaged file.
func TestProgressPastItsTotal(t *testing.T) {
	var p progress
	p.step(daemon.StoreProgress{Step: "checking providers", Total: 1000})
	p.step(daemon.StoreProgress{Step: "checking providers", Done: 1500, Total: 1000})
	require.Equal(t, "checking providers 1,500, 150 a second", p.line(10*time.Second))
	p.step(daemon.StoreProgress{Step: "checking providers", Done: 1500, Total: 3000})
	require.Equal(t, "checking providers 1,500 of 3,000 (50 %), 150 a second, 10s to go", p.line(10*time.Second))
}

// The rate of a step that starts above zero counts only from there.
func TestProgressOfAStepThatGoesOn(t *testing.T) {
	var p progress
	p.step(daemon.StoreProgress{Step: "reading", Done: 1 << 20, Total: 4 << 20, Bytes: true})
	require.Equal(t, "reading 1.0 MiB of 4.0 MiB (25 %)", p.line(time.Second))
	p.step(daemon.StoreProgress{Step: "reading", Done: 2 << 20, Total: 4 << 20, Bytes: true})
	require.Equal(t, "reading 2.0 MiB of 4.0 MiB (50 %), 1.0 MiB a second, 2s to go", p.line(time.Second))
}

// database creates a database with a few thousand records.
func database(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := storage.Open(dir, storage.Options{Options: runs.Options{NoSync: true, TableRecords: 300}}) // which leaves runs and a log
	require.NoError(t, err)
	now := time.Now()
	for i := range 3000 {
		p := records.Provider{Expires: now.Add(time.Hour)}
		p.ID = "peer"
		require.NoError(t, db.AddProvider(now, fmt.Appendf(nil, "key %d", i), p, i%300 == 299))
	}
	require.NoError(t, db.Publish(records.Published{Key: []byte("own")}))
	require.NoError(t, db.Close())
	return dir
}

// Each command on a stopped database shows its steps and progress, in a log and on a
// terminal.
func TestProgressOfTheDatabase(t *testing.T) {
	const amount = `[0-9.]+ (B|KiB|MiB)`
	all := func(step string) string {
		// If a line is wider than the terminal, the middle of the step's name is cut.
		head, tail := regexp.QuoteMeta(step[:12]), regexp.QuoteMeta(step[len(step)-6:])
		return head + `[^\r\n]*` + tail + " " + amount + " of " + amount + ` \(100 %\), ` + amount + " a second"
	}
	ofPages := []string{all("reading holdfast.db"), all("checking pages of holdfast.db"), all("checking pages of providers-log.db"), all("checking pages of providers-runs.db")}
	c := config.Default()
	for _, test := range []struct {
		name string
		work func(dir string, report func(daemon.StoreProgress)) error
		want []string
	}{
		{"check", func(dir string, report func(daemon.StoreProgress)) error {
			_, err := daemon.CheckStore(dir, &c, false, report)
			return err
		}, append(ofPages,
			`checking holdfast\.db with bbolt, which does not report progress, [0-9]+s so far`,
			`checking published keys 1 of 1 \(100 %\), [0-9.]+ a second`,
			`checking provider records 0 of [0-9,]+ \(0 %\)`,
			`counting provider records [0-9,]+ of [0-9,]+ \(100 %\), [0-9,]+ a second`)},
		{"compact", func(dir string, report func(daemon.StoreProgress)) error {
			_, _, err := daemon.CompactStore(dir, report)
			return err
		}, append(ofPages, all("compacting providers-log.db"), `syncing providers-log\.db to disk, [0-9]+s so far`)},
		{"repair", func(dir string, report func(daemon.StoreProgress)) error {
			for _, name := range []string{"holdfast.db", "providers-runs.db"} { // a repair leaves sound files alone
				if err := os.Truncate(filepath.Join(dir, name), 2*int64(os.Getpagesize())); err != nil {
					return err
				}
			}
			_, err := daemon.CheckStore(dir, &c, true, report)
			return err
		}, []string{
			`repairing .*published keys ` + amount + " of " + amount + ` \(100 %\), ` + amount + " a second", // a terminal leaves out some of the name
			`repairing providers-runs\.db: reading what is sound .* \(100 %\)`,
		}},
	} {
		for _, terminal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, terminal %v", test.name, terminal), func(t *testing.T) {
				requireProgress(t, terminal, test.work, test.want)
			})
		}
	}
}

// requireProgress fails unless the progress of work on a database has the lines want.
func requireProgress(t *testing.T, terminal bool, work func(dir string, report func(daemon.StoreProgress)) error, want []string) {
	every, begin, end := progressLog, `(?m)^`, `$`
	if terminal {
		every, begin, end = progressTerminal, `\r`, `\x1b\[K`
	}
	dir := database(t)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, terminal, "opening the database", 0, bytesText)
		time.Sleep(every / 2) // never at the same time as a line
		require.NoError(t, work(dir, func(s daemon.StoreProgress) {
			p.step(s)
			time.Sleep(every)
		}))
		p.end()
		for _, line := range want {
			require.Regexp(t, begin+line+end, out.String())
		}
	})
}

// A restore reads the backup, then checks it.
func TestProgressOfARestore(t *testing.T) {
	var backup bytes.Buffer
	db, err := storage.Open(database(t), storage.Options{})
	require.NoError(t, err)
	_, err = db.Backup(&backup)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	dir, size := t.TempDir(), backup.Len()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out, false, "reading b.tar", int64(size), bytesText)
		time.Sleep(time.Second / 2) // never at the same time as a line
		slow := readerFunc(func(b []byte) (int, error) {
			time.Sleep(time.Second)
			return backup.Read(b)
		})
		_, err := daemon.RestoreStore(dir, io.TeeReader(slow, p), os.Getenv, false, func(s daemon.StoreProgress) {
			p.step(s)
			time.Sleep(progressLog)
		})
		require.NoError(t, err)
		p.end()
		require.Regexp(t, `^reading b.tar [0-9.]+ KiB of `+regexp.QuoteMeta(bytesText(int64(size)))+` \([0-9]+ %\), [0-9.]+ KiB a second, [0-9ms]+ to go\n`, out.String())
		require.Regexp(t, `(?m)^checking pages of holdfast.db.new .* \(100 %\)`, out.String())
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
