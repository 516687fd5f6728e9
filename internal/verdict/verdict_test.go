package verdict

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 1, 2, 15, 43, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// well returns the facts of a healthy node, changed by f.
func well(change func(f *Facts)) *Facts {
	f := &Facts{
		Now: now, Uptime: 24 * time.Hour, TablePeers: 90, VerifiedPeers: 87, NetworkSize: 5000, RequestsIn: 12.34,
		Bootstrap: Bootstrap{Peers: 3, Over: true, Dialled: 3},
		DiskFree:  20 << 30, DiskSize: 100 << 30, DatabaseFill: 0.5,
		Memory: 100 << 20, MemoryLimit: 1 << 30, Descriptors: 100, DescriptorsLimit: 1000,
		BuiltAt: ago(24 * time.Hour), Refused: Refused{Window: 5 * time.Minute, Requests: 1000},
	}
	change(f)
	return f
}

var verdicts = []struct {
	name   string
	change func(f *Facts)
	want   Cause
	anchor string // of the runbook, or the page
}{
	{"healthy", func(*Facts) {}, Cause{OK, "Healthy", "87 peers answer; 12 requests a second", time.Time{}, ""}, ""},
	{"one peer in a small network", func(f *Facts) { f.VerifiedPeers, f.NetworkSize, f.LowSince = 1, 2, ago(time.Hour) },
		Cause{OK, "Healthy", "1 peer answers; 12 requests a second", time.Time{}, ""}, ""},
	{"stopping", func(f *Facts) { f.Stopping, f.DatabaseFailed = true, true },
		Cause{Starting, "Stopping", "the node is shutting down", time.Time{}, ""}, ""},
	{"starting", func(f *Facts) { f.Starting, f.VerifiedPeers = true, 0 },
		Cause{Starting, "Starting", "the node is opening its listeners", time.Time{}, ""}, ""},
	{"the database failed", func(f *Facts) { f.DatabaseFailed = true },
		Cause{Critical, "DATABASE FAILED", "after a failed fsync the database refuses all writes until the node is restarted", time.Time{}, ""}, "runbooks.md#holdfastdbfailed"},
	{"disk full", func(f *Facts) { f.DiskFullSince, f.DiskFree = ago(time.Minute), 3<<20 },
		Cause{Critical, "DISK FULL", "new records may be refused and publishing may fail; 3.0 MiB of 100 GiB free", ago(time.Minute), ""}, "runbooks.md#holdfastdiskfull"},
	{"disk full, size unknown", func(f *Facts) { f.DiskFullSince, f.DiskSize = ago(time.Minute), 0 },
		Cause{Critical, "DISK FULL", "new records may be refused and publishing may fail", ago(time.Minute), ""}, "runbooks.md#holdfastdiskfull"},
	{"isolated", func(f *Facts) { f.IsolatedSince, f.VerifiedPeers = ago(3*time.Minute), 0 },
		Cause{Critical, "ISOLATED", "no peer has answered for 3 min (90 peers in the routing table)", ago(3 * time.Minute), ""}, "runbooks.md#holdfastisolated"},
	{"joining", func(f *Facts) { f.VerifiedPeers, f.TablePeers, f.Bootstrap = 0, 0, Bootstrap{Peers: 3} },
		Cause{Starting, "Starting", "joining the network: dialling 3 bootstrap peers", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"no bootstrap peer reached", func(f *Facts) { f.VerifiedPeers, f.TablePeers, f.Bootstrap.Failed = 0, 0, 3 },
		Cause{Critical, "NO PEERS", "no bootstrap peer could be reached (3 peers tried)", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"the wrong network", func(f *Facts) { f.VerifiedPeers, f.TablePeers = 0, 0 },
		Cause{Critical, "NO PEERS", "a bootstrap peer was reached, but no peer answers the protocol of this network", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"a bootstrap peer reached just now", func(f *Facts) { f.VerifiedPeers, f.TablePeers, f.Asking = 0, 0, true },
		Cause{Starting, "Starting", "joining the network: a bootstrap peer was reached and is being asked", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"all peers lost just now", func(f *Facts) { f.VerifiedPeers, f.SilentSince = 0, ago(9*time.Second) },
		Cause{Starting, "Looking for peers", "no peer answers at the moment; the node asks those it knows again", ago(9 * time.Second), ""}, "runbooks.md#holdfastroutingtablelow"},
	{"no saved peer has answered yet", func(f *Facts) { f.VerifiedPeers, f.TablePeers, f.SilentSince = 0, 0, ago(time.Second) },
		Cause{Starting, "Looking for peers", "no peer answers at the moment; the node asks those it knows again", ago(time.Second), ""}, "runbooks.md#holdfastroutingtablelow"},
	{"a peer that is not in the table answered", func(f *Facts) { f.VerifiedPeers = 0 },
		Cause{Starting, "Looking for peers", "no peer answers at the moment; the node asks those it knows again", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"the first node, alone again", func(f *Facts) { f.VerifiedPeers, f.First, f.SilentSince = 0, true, ago(time.Hour) },
		Cause{Starting, "Waiting for peers", "no other node answers, and as the first node of its network this one may be alone", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"the first node", func(f *Facts) { f.VerifiedPeers, f.Bootstrap, f.First = 0, Bootstrap{Over: true}, true },
		Cause{Starting, "Waiting for peers", "no bootstrap peer is configured, so other nodes must connect to this one", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"no bootstrap peers yet", func(f *Facts) {
		f.VerifiedPeers, f.TablePeers, f.Bootstrap, f.Uptime = 0, 0, Bootstrap{Over: true}, 5*time.Minute-1
	},
		Cause{Starting, "Waiting for peers", "no bootstrap peer is configured, so other nodes must connect to this one", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"no bootstrap peers", func(f *Facts) {
		f.VerifiedPeers, f.TablePeers, f.Bootstrap, f.Uptime = 0, 0, Bootstrap{Over: true}, 5*time.Minute
	},
		Cause{Warning, "No peers", "no bootstrap peer is configured, and no peer has connected for 5 min", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"the database was damaged", func(f *Facts) { f.DamagedFiles, f.Unrecovered, f.DamagedAt = 1, 1, ago(time.Hour) },
		Cause{Critical, "DATABASE DAMAGED", "1 damaged file was moved aside; published keys and records may be lost: if they are, restore the backup; then remove *.corrupt-*", ago(time.Hour), ""}, "runbooks.md#holdfastdbdamaged"},
	{"the database was damaged twice", func(f *Facts) { f.DamagedFiles, f.Unrecovered = 2, 1 },
		Cause{Critical, "DATABASE DAMAGED", "2 damaged files were moved aside; published keys and records may be lost: if they are, restore the backup; then remove *.corrupt-*", time.Time{}, ""}, "runbooks.md#holdfastdbdamaged"},
	{"a damaged database was recovered", func(f *Facts) { f.DamagedFiles = 1 },
		Cause{Critical, "DATABASE DAMAGED", "1 damaged file was moved aside; everything in it could be read and was recovered: check the disk, then remove *.corrupt-*", time.Time{}, ""}, "runbooks.md#holdfastdbdamaged"},
	{"overloaded", func(f *Facts) { f.Refused.Streams, f.Refused.Libp2p, f.Refused.Since = 4, 6, ago(time.Minute) },
		Cause{Warning, "OVERLOADED", "10 requests refused for lack of capacity in the last 5 min: libp2p's resource manager is at a limit", ago(time.Minute), ""}, "runbooks.md#holdfastresourcemanagerblocking"},
	{"badly overloaded", func(f *Facts) { f.Refused.Busy = 100 },
		Cause{Critical, "OVERLOADED", "100 requests refused for lack of capacity in the last 5 min: too many writes wait for the database", time.Time{}, ""}, "runbooks.md#holdfastresourcemanagerblocking"},
	{"refuses few", func(f *Facts) { f.Refused.Streams = 9 }, healthy(well(func(*Facts) {})), ""},
	{"refuses a small share", func(f *Facts) { f.Refused.Streams, f.Refused.Requests = 99, 10000 }, healthy(well(func(*Facts) {})), ""},
	{"clock behind the build", func(f *Facts) { f.BuiltAt = now.Add(time.Hour + 1) },
		Cause{Warning, "Clock wrong", "it reads 2026-01-02, but this version was made on 2026-01-02; records that seem to be from the future are not served", time.Time{}, ""}, "guides/quotas.md"},
	{"clock slightly behind the build", func(f *Facts) { f.BuiltAt = now.Add(time.Hour) }, healthy(well(func(*Facts) {})), ""},
	{"clock set back", func(f *Facts) { f.ClockBack, f.ClockBackAt = 25*time.Hour, ago(time.Minute) },
		Cause{Warning, "Clock wrong", "it was set back by 1 d 1 h: it is wrong now, or was before; records that seem to be from the future are not served", ago(time.Minute), ""}, "guides/quotas.md"},
	{"database full", func(f *Facts) { f.DatabaseFill = 1 },
		Cause{Critical, "DATABASE FULL", "new records are refused: storage.max_bytes, or what the disk has space for, is used up", time.Time{}, ""}, "runbooks.md#holdfastdbgrowing"},
	{"database nearly full", func(f *Facts) { f.DatabaseFill = 0.9 },
		Cause{Warning, "Database nearly full", "90% of the space for new records is used; at 100% they are refused", time.Time{}, ""}, "runbooks.md#holdfastdbgrowing"},
	{"republish overdue", func(f *Facts) { f.OverdueKeys, f.OverdueSince = 1234, ago(time.Hour) },
		Cause{Warning, "Republish overdue", "1,234 published keys overdue; they expire if not republished in time", ago(time.Hour), ""}, "runbooks.md#holdfastrepublishfallingbehind"},
	{"republish late", func(f *Facts) { f.OverdueKeys, f.OverdueSince = 1234, ago(time.Hour-1) }, healthy(well(func(*Facts) {})), ""},
	{"keys not published", func(f *Facts) { f.UntakenKeys, f.UntakenSince = 4, ago(10*time.Minute) },
		Cause{Warning, "Keys not published", "4 keys were never published: too few peers took them", ago(10 * time.Minute), ""}, "runbooks.md#holdfastpublishrefused"},
	{"a key not published", func(f *Facts) { f.UntakenKeys, f.UntakenSince = 1, ago(time.Hour) },
		Cause{Warning, "Keys not published", "1 key was never published: too few peers took it", ago(time.Hour), ""}, "runbooks.md#holdfastpublishrefused"},
	{"keys not published yet", func(f *Facts) { f.UntakenKeys, f.UntakenSince = 4, ago(10*time.Minute-1) }, healthy(well(func(*Facts) {})), ""},
	{"few peers", func(f *Facts) { f.VerifiedPeers, f.LowSince = 9, ago(30*time.Minute) },
		Cause{Warning, "Few peers", "only 9 peers answer of about 5,000 in the network; lookups miss records", ago(30 * time.Minute), ""}, "runbooks.md#holdfastroutingtablelow"},
	{"few peers for a moment", func(f *Facts) { f.VerifiedPeers, f.LowSince = 9, ago(30*time.Minute-1) },
		Cause{OK, "Healthy", "9 peers answer; 12 requests a second", time.Time{}, ""}, ""},
	{"bootstrap peers unreachable", func(f *Facts) { f.VerifiedPeers, f.Bootstrap.Failed = 9, 3 },
		Cause{Warning, "No bootstrap peer", "no bootstrap peer could be reached (3 peers tried), and only 9 peers answer", time.Time{}, ""}, "runbooks.md#holdfastroutingtablelow"},
	{"bootstrap peers unreachable and not needed", func(f *Facts) { f.VerifiedPeers, f.Bootstrap.Failed = 10, 3 },
		Cause{OK, "Healthy", "10 peers answer; 12 requests a second", time.Time{}, ""}, ""},
	{"one bootstrap peer reached", func(f *Facts) { f.VerifiedPeers, f.Bootstrap.Failed = 9, 2 },
		Cause{OK, "Healthy", "9 peers answer; 12 requests a second", time.Time{}, ""}, ""},
	{"memory", func(f *Facts) { f.Memory, f.MemoryLimit = 850, 1000 },
		Cause{Warning, "Memory nearly used up", "850 B of 1000 B are used; beyond the limit the kernel kills the process", time.Time{}, ""}, "runbooks.md#holdfastmemoryhigh"},
	{"descriptors", func(f *Facts) { f.Descriptors = 800 },
		Cause{Warning, "File descriptors nearly used up", "800 of 1,000 are open; at the limit new connections fail", time.Time{}, ""}, "runbooks.md#holdfastfdshigh"},
	{"disk nearly full", func(f *Facts) { f.DiskFree = 5<<30 - 1; f.DiskSize = 101 << 30 },
		Cause{Warning, "Disk nearly full", "5.0 GiB of 101 GiB free; once it is full, new records may be refused and publishing may fail", time.Time{}, ""}, "runbooks.md#holdfastdiskfilling"},
	{"reload failed", func(f *Facts) { f.ReloadFailedSince = ago(time.Minute) },
		Cause{Warning, "Configuration refused", "the last reload failed; the node keeps its settings and would not start with the new ones", ago(time.Minute), ""}, "runbooks.md#holdfastconfigreloadfailed"},
}

func TestVerdicts(t *testing.T) {
	for _, c := range verdicts {
		want := c.want
		if c.anchor != "" {
			want.Runbook = "docs/" + c.anchor
		}
		require.Equal(t, []Cause{want}, Of(well(c.change), "docs/"), c.name)
	}
}

// A node is not ready while it is isolated, and until it has had the first peer of the network
// of its bootstrap peers. It stays ready without peers if it may be alone.
func TestAlone(t *testing.T) {
	never := func(f *Facts) { f.VerifiedPeers, f.TablePeers = 0, 0 }
	for name, c := range map[string]struct {
		change func(f *Facts)
		word   string
	}{
		"healthy":              {func(*Facts) {}, ""},
		"isolated":             {func(f *Facts) { f.VerifiedPeers, f.IsolatedSince = 0, ago(time.Minute) }, "ISOLATED"},
		"peers lost just now":  {func(f *Facts) { f.VerifiedPeers, f.SilentSince = 0, ago(time.Second) }, ""},
		"none reached":         {func(f *Facts) { never(f); f.Bootstrap.Failed = 3 }, "NO PEERS"},
		"the wrong network":    {never, "NO PEERS"},
		"one is being asked":   {func(f *Facts) { never(f); f.Asking = true }, "Starting"},
		"the first node":       {func(f *Facts) { never(f); f.Bootstrap.Failed, f.First = 3, true }, ""},
		"no bootstrap peers":   {func(f *Facts) { never(f); f.Bootstrap = Bootstrap{Over: true} }, ""},
		"others make it ready": {func(f *Facts) { f.VerifiedPeers, f.Bootstrap.Failed = 1, 3 }, ""},
	} {
		got, alone := Alone(well(c.change))
		require.Equal(t, c.word != "", alone, name)
		if alone {
			require.Equal(t, c.word, got.Word, name)
		}
	}
}

func TestCauseAsText(t *testing.T) {
	require.Equal(t, "DISK FULL since 2026-01-02T15:42:00Z: why", Cause{Word: "DISK FULL", Why: "why", Since: ago(time.Minute)}.String())
	require.Equal(t, "NO PEERS: why", Cause{Word: "NO PEERS", Why: "why"}.String())
}

// Unknown facts are no problem: without any the node only waits for peers.
func TestNothingKnown(t *testing.T) {
	got := Of(&Facts{Now: now}, "")
	require.Len(t, got, 1)
	require.Equal(t, "Waiting for peers", got[0].Word)
}

// With every problem at once, the causes are in this order.
func TestOrder(t *testing.T) {
	f := well(func(f *Facts) {
		f.DatabaseFailed, f.Starting, f.ReloadFailedSince = true, true, ago(time.Hour)
		f.VerifiedPeers, f.LowSince, f.OverdueKeys, f.OverdueSince = 9, ago(time.Hour), 1, ago(time.Hour)
		f.UntakenKeys, f.UntakenSince = 1, ago(time.Hour)
		f.Refused, f.ClockBack, f.DatabaseFill = Refused{Busy: 100, Requests: 1000}, time.Hour, 0.95
		f.Memory, f.Descriptors, f.DiskFree = f.MemoryLimit, f.DescriptorsLimit, 1
	})
	words := func() (out []string) {
		for _, c := range Of(f, "") {
			out = append(out, c.Word)
		}
		return out
	}
	require.Equal(t, []string{
		"DATABASE FAILED", "OVERLOADED", "Clock wrong", "Database nearly full", "Republish overdue", "Keys not published", "Few peers",
		"Memory nearly used up", "File descriptors nearly used up", "Disk nearly full", "Configuration refused", "Starting",
	}, words())
	f.Refused = Refused{Busy: 20, Requests: 1000}
	f.DatabaseFill = 1
	require.Equal(t, []string{"DATABASE FAILED", "DATABASE FULL", "OVERLOADED"}, words()[:3])
	f.DiskFullSince, f.IsolatedSince, f.VerifiedPeers = ago(time.Hour), ago(time.Hour), 0
	f.DamagedFiles = 1
	require.Equal(t, []string{"DATABASE FAILED", "DISK FULL", "ISOLATED", "DATABASE DAMAGED", "OVERLOADED", "Clock wrong"}, words()[:6])
}

// For any facts there is a verdict, the worst first, with words and of one line.
func TestAnyFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Custom(func(t *rapid.T) time.Time {
			return rapid.SampledFrom([]time.Time{{}, now, ago(time.Hour), now.Add(time.Hour)}).Draw(t, "at")
		})
		f := Facts{
			Now: now, Starting: rapid.Bool().Draw(t, "starting"), Stopping: rapid.Bool().Draw(t, "stopping"),
			Uptime: time.Duration(rapid.Int64().Draw(t, "uptime")), TablePeers: rapid.Int().Draw(t, "table"), VerifiedPeers: rapid.Int().Draw(t, "verified"),
			NetworkSize: rapid.Float64().Draw(t, "size"), IsolatedSince: at.Draw(t, "isolated"), SilentSince: at.Draw(t, "silent"), First: rapid.Bool().Draw(t, "first"), Asking: rapid.Bool().Draw(t, "asking"), LowSince: at.Draw(t, "low"),
			Bootstrap:     Bootstrap{rapid.IntRange(0, 2).Draw(t, "peers"), rapid.Bool().Draw(t, "over"), rapid.IntRange(0, 2).Draw(t, "dialled"), rapid.IntRange(0, 2).Draw(t, "failed")},
			DiskFullSince: at.Draw(t, "full"), DiskFree: rapid.Int64().Draw(t, "free"), DiskSize: rapid.Int64().Draw(t, "disk"),
			DatabaseFailed: rapid.Bool().Draw(t, "failed"), DatabaseFill: rapid.Float64().Draw(t, "fill"),
			Refused: Refused{Requests: rapid.Uint64().Draw(t, "requests"), Busy: rapid.Uint64().Draw(t, "busy"), Queries: rapid.Uint64().Draw(t, "queries")},
			Memory:  rapid.Int64().Draw(t, "memory"), MemoryLimit: rapid.Int64().Draw(t, "limit"),
			UntakenKeys: rapid.Int().Draw(t, "untaken"), UntakenSince: at.Draw(t, "untaken since"),
			OverdueKeys: rapid.Int().Draw(t, "overdue"), OverdueSince: at.Draw(t, "overdue since"), ReloadFailedSince: at.Draw(t, "reload"),
			BuiltAt: at.Draw(t, "built"), ClockBack: time.Duration(rapid.Int64().Draw(t, "back")),
		}
		got := Of(&f, "")
		require.NotEmpty(t, got)
		for i, c := range got {
			require.Contains(t, severity, c.Level)
			require.NotEmpty(t, c.Word)
			require.NotEmpty(t, c.Why)
			require.NotContains(t, c.Why, "\n")
			require.Equal(t, c.Level == Critical || c.Word == "OVERLOADED", strings.ToUpper(c.Word) == c.Word, c.Word)
			require.True(t, i == 0 || severity[c.Level] <= severity[got[i-1].Level])
		}
	})
}

// Every page that a cause links to exists, with the anchor.
func TestPagesExist(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^#+ +(.+)$`)
	for _, r := range rules {
		if r.page == "" {
			continue
		}
		page, anchor, _ := strings.Cut(r.page, "#")
		text, err := os.ReadFile("../../docs/" + page)
		require.NoError(t, err)
		found := anchor == ""
		for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
			found = found || strings.ToLower(m[1]) == anchor // the anchors of one-word headings
		}
		require.True(t, found, r.page)
	}
}

func TestDocs(t *testing.T) {
	for version, ref := range map[string]string{
		"v1.2.3": "v1.2.3", "devel": "main", "v0.1.0-rc.1": "main", "v1.2.3-0.20260102150405-0123456789ab": "main", "": "main", "v1.2.3/../x": "main",
	} {
		require.Equal(t, "https://github.com/holdfast-dht/holdfast/blob/"+ref+"/docs/", Docs(version), version)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 59*time.Second + 999*time.Millisecond: "59 s", time.Minute: "1 min", time.Hour - 1: "59 min", time.Hour: "1 h",
		24*time.Hour - 1: "23 h 59 min", 24 * time.Hour: "1 d", 49 * time.Hour: "2 d 1 h",
	} {
		require.Equal(t, want, span(d))
	}
}
