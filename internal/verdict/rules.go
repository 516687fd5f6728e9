package verdict

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// Thresholds. Those of peers, memory, file descriptors and the disk are those of the alerts.
// The others differ:
//
//   - overdueAfter is an hour, and HoldfastRepublishFallingBehind waits six: it must not wake
//     anybody for a backlog that the node clears by itself.
//   - refused* is a share of all requests, and HoldfastResourceManagerBlocking a rate: it sees
//     only what libp2p refuses.
//   - FillHigh is a level, and HoldfastDBGrowing a forecast, which needs hours of samples.
//   - aloneAfter and clockSlack have no alert of their own.
//
// An alert also waits until its condition has held for minutes; the verdict shows the moment.
const (
	// LowTable is the number of verified peers below which lookups miss records. The Machine
	// then repairs its table (dht.LowTable).
	LowTable = 10
	// smallNetwork is the estimated size up to which a node cannot have LowTable peers.
	smallNetwork = LowTable + 1
	// lowAfter is how long the table may be low, as after a restart.
	lowAfter = 30 * time.Minute
	// aloneAfter is how long a node without bootstrap peers may wait for its first peer.
	aloneAfter = 5 * time.Minute
	// overdueAfter is how long a key may wait for its republication. After a restart all
	// overdue keys are spread over ten minutes. With the default settings records expire
	// 26 hours after they are due.
	overdueAfter = time.Hour
	// untakenAfter is how long a key may wait for its first publication after the first try
	// failed. Within it, the key is tried several times.
	untakenAfter = 10 * time.Minute
	// refusedShare and refusedBadly are the shares of refused requests from which the node
	// is overloaded. A single greedy peer is normal.
	refusedShare = 0.01
	refusedBadly = 0.1
	// refusedLeast is how many requests must be refused. A few are normal when many peers
	// connect at once.
	refusedLeast = 10
	// MemoryHigh is the share of the memory limit from which the kernel may soon kill the
	// process.
	MemoryHigh = 0.85
	// DescriptorsHigh is the share of the limit of file descriptors that is high.
	DescriptorsHigh = 0.8
	// diskLow is the free share of the disk, and diskLowBytes the free bytes, below both of
	// which the disk is nearly full.
	diskLow      = 0.05
	diskLowBytes = 5 << 30
	// FillHigh is the share of the database's space for new records that is high. At 1 they
	// are refused.
	FillHigh = 0.9
	// clockSlack is how far the clock may be behind: the date of a build is that of its
	// source, which another machine's clock gave.
	clockSlack = time.Hour
)

// rules are all problems, the worst first among those of a level.
var rules = []rule{
	{"runbooks.md#holdfastdbfailed", databaseFailed},
	{"runbooks.md#holdfastdiskfull", diskFull},
	{"runbooks.md#holdfastisolated", isolated},
	{"runbooks.md#holdfastroutingtablelow", noPeers},
	{"runbooks.md#holdfastdbdamaged", databaseDamaged},
	{"runbooks.md#holdfastresourcemanagerblocking", overloaded},
	{"guides/quotas.md", clockWrong},
	{"runbooks.md#holdfastdbgrowing", databaseFull},
	{"runbooks.md#holdfastrepublishfallingbehind", overdue},
	{"runbooks.md#holdfastpublishrefused", untaken},
	{"runbooks.md#holdfastroutingtablelow", fewPeers},
	{"runbooks.md#holdfastroutingtablelow", bootstrapUnreachable},
	{"runbooks.md#holdfastmemoryhigh", memoryHigh},
	{"runbooks.md#holdfastfdshigh", descriptorsHigh},
	{"runbooks.md#holdfastdiskfilling", diskFilling},
	{"runbooks.md#holdfastconfigreloadfailed", reloadFailed},
	{"", starting},
}

func databaseFailed(f *Facts) (Cause, bool) {
	return Cause{Level: Critical, Word: "DATABASE FAILED", Why: "after a failed fsync the database refuses all writes until the node is restarted"}, f.DatabaseFailed
}

func diskFull(f *Facts) (Cause, bool) {
	why := "new records may be refused and publishing may fail"
	if f.DiskSize > 0 {
		why += fmt.Sprintf("; %s of %s free", bytes(f.DiskFree), bytes(f.DiskSize))
	}
	return Cause{Level: Critical, Word: "DISK FULL", Why: why, Since: f.DiskFullSince}, !f.DiskFullSince.IsZero()
}

func isolated(f *Facts) (Cause, bool) {
	why := fmt.Sprintf("no peer has answered for %s (%s in the routing table)", span(f.Now.Sub(f.IsolatedSince)), count(f.TablePeers, "peer"))
	return Cause{Level: Critical, Word: "ISOLATED", Why: why, Since: f.IsolatedSince}, !f.IsolatedSince.IsZero()
}

// noPeers recognises a node that none of its peers answers, and that is not isolated.
func noPeers(f *Facts) (Cause, bool) {
	b := &f.Bootstrap
	switch {
	case f.VerifiedPeers > 0 || !f.IsolatedSince.IsZero() || f.Starting:
		return Cause{}, false
	case f.hadPeer() && !f.First:
		return Cause{Level: Starting, Word: "Looking for peers", Why: "no peer answers at the moment; the node asks those it knows again", Since: f.SilentSince}, true
	case b.Peers == 0 && (f.First || f.Uptime < aloneAfter):
		return Cause{Level: Starting, Word: "Waiting for peers", Why: "no bootstrap peer is configured, so other nodes must connect to this one"}, true
	case b.Peers == 0:
		return Cause{Level: Warning, Word: "No peers", Why: "no bootstrap peer is configured, and no peer has connected for " + span(f.Uptime)}, true
	case !b.Over:
		return Cause{Level: Starting, Word: "Starting", Why: "joining the network: dialling " + count(b.Peers, "bootstrap peer")}, true
	case f.First:
		return Cause{Level: Starting, Word: "Waiting for peers", Why: "no other node answers, and as the first node of its network this one may be alone"}, true
	case b.unreachable():
		return Cause{Level: Critical, Word: "NO PEERS", Why: "no bootstrap peer could be reached (" + count(b.Failed, "peer") + " tried)"}, true
	case f.Asking:
		return Cause{Level: Starting, Word: "Starting", Why: "joining the network: a bootstrap peer was reached and is being asked"}, true
	}
	return Cause{Level: Critical, Word: "NO PEERS", Why: "a bootstrap peer was reached, but no peer answers the protocol of this network"}, true
}

// Alone returns why a node is not ready although it runs: it is isolated, or has never had a
// peer of the network that its bootstrap peers belong to. The first node of a network is
// ready without peers.
func Alone(f *Facts) (Cause, bool) {
	if c, ok := isolated(f); ok {
		return c, true
	}
	c, ok := noPeers(f)
	return c, ok && !f.First && f.Bootstrap.Peers > 0 && !f.hadPeer()
}

// databaseDamaged lasts until the operator removes the damaged files, because the node does not
// know what was in the parts that it could not read, and a disk that damages files does it again.
func databaseDamaged(f *Facts) (Cause, bool) {
	why := count(f.DamagedFiles, "damaged file") + english.PluralWord(f.DamagedFiles, " was", " were") + " moved aside; "
	if f.Unrecovered > 0 {
		why += "published keys and records may be lost: if they are, restore the backup; then remove *.corrupt-*"
	} else {
		why += "everything in " + english.PluralWord(f.DamagedFiles, "it", "them") + " could be read and was recovered: check the disk, then remove *.corrupt-*"
	}
	return Cause{Level: Critical, Word: "DATABASE DAMAGED", Why: why, Since: f.DamagedAt}, f.DamagedFiles > 0
}

func overloaded(f *Facts) (Cause, bool) {
	r := &f.Refused
	total := r.Total()
	c := Cause{
		Level: Warning, Word: "OVERLOADED", Since: r.Since,
		Why: fmt.Sprintf("%s refused for lack of capacity in the last %s: %s", count(int(total), "request"), span(r.Window), r.worst()),
	}
	share := float64(total) / float64(max(r.Requests, total, 1))
	if share >= refusedBadly {
		c.Level = Critical
	}
	return c, total >= refusedLeast && share >= refusedShare
}

// worst names the most frequent reason.
func (r *Refused) worst() string {
	most, why := r.Streams, "too many streams are open"
	for _, x := range []struct {
		n   uint64
		why string
	}{
		{r.Libp2p, "libp2p's resource manager is at a limit"},
		{r.Memory, "libp2p's memory limit is reached"},
		{r.Busy, "too many writes wait for the database"},
		{r.Queries, "this node runs too many lookups"},
	} {
		if x.n > most {
			most, why = x.n, x.why
		}
	}
	return why
}

func clockWrong(f *Facts) (Cause, bool) {
	const effect = "; records that seem to be from the future are not served"
	c := Cause{Level: Warning, Word: "Clock wrong"}
	switch {
	case f.Now.Add(clockSlack).Before(f.BuiltAt):
		c.Why = fmt.Sprintf("it reads %s, but this version was made on %s%s", f.Now.UTC().Format(time.DateOnly), f.BuiltAt.UTC().Format(time.DateOnly), effect)
	case f.ClockBack > 0:
		c.Since = f.ClockBackAt
		c.Why = fmt.Sprintf("it was set back by %s: it is wrong now, or was before%s", span(f.ClockBack), effect)
	default:
		return Cause{}, false
	}
	return c, true
}

func databaseFull(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Database nearly full", Why: fmt.Sprintf("%.0f%% of the space for new records is used; at 100%% they are refused", 100*f.DatabaseFill)}
	if f.DatabaseFill >= 1 {
		c = Cause{Level: Critical, Word: "DATABASE FULL", Why: "new records are refused: storage.max_bytes, or what the disk has space for, is used up"}
	}
	return c, f.DatabaseFill >= FillHigh && f.DiskFullSince.IsZero()
}

func overdue(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Republish overdue", Since: f.OverdueSince, Why: count(f.OverdueKeys, "published key") + " overdue; " + english.PluralWord(f.OverdueKeys, "it expires", "they expire") + " if not republished in time"}
	return c, f.OverdueKeys > 0 && held(f, f.OverdueSince, overdueAfter)
}

// untaken recognises keys that peers refuse, such as a value in a namespace that only this
// node accepts. They are never overdue: each failed try gives them a new due time.
func untaken(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Keys not published", Since: f.UntakenSince, Why: count(f.UntakenKeys, "key") + english.PluralWord(f.UntakenKeys, " was", " were") + " never published: too few peers took " + english.PluralWord(f.UntakenKeys, "it", "them")}
	return c, f.UntakenKeys > 0 && f.VerifiedPeers > 0 && held(f, f.UntakenSince, untakenAfter)
}

func fewPeers(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Few peers", Since: f.LowSince, Why: fmt.Sprintf("only %s of about %s in the network; lookups miss records", answer(f.VerifiedPeers), humanize.Comma(int64(f.NetworkSize)))}
	return c, f.VerifiedPeers > 0 && f.VerifiedPeers < LowTable && f.NetworkSize > smallNetwork && held(f, f.LowSince, lowAfter)
}

// bootstrapUnreachable is for a node with peers. The node dials its bootstrap peers only while
// its table is low.
func bootstrapUnreachable(f *Facts) (Cause, bool) {
	b := &f.Bootstrap
	c := Cause{Level: Warning, Word: "No bootstrap peer", Why: "no bootstrap peer could be reached (" + count(b.Failed, "peer") + " tried), and only " + answer(f.VerifiedPeers)}
	return c, b.unreachable() && f.VerifiedPeers > 0 && f.VerifiedPeers < LowTable
}

func memoryHigh(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Memory nearly used up", Why: fmt.Sprintf("%s of %s are used; beyond the limit the kernel kills the process", bytes(f.Memory), bytes(f.MemoryLimit))}
	return c, Over(f.Memory, f.MemoryLimit, MemoryHigh)
}

func descriptorsHigh(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "File descriptors nearly used up", Why: fmt.Sprintf("%s of %s are open; at the limit new connections fail", humanize.Comma(int64(f.Descriptors)), humanize.Comma(int64(f.DescriptorsLimit)))}
	return c, Over(int64(f.Descriptors), int64(f.DescriptorsLimit), DescriptorsHigh)
}

func diskFilling(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Disk nearly full", Why: fmt.Sprintf("%s of %s free; once it is full, new records may be refused and publishing may fail", bytes(f.DiskFree), bytes(f.DiskSize))}
	return c, DiskLow(f.DiskFree, f.DiskSize) && f.DiskFullSince.IsZero()
}

func reloadFailed(f *Facts) (Cause, bool) {
	c := Cause{Level: Warning, Word: "Configuration refused", Since: f.ReloadFailedSince, Why: "the last reload failed; the node keeps its settings and would not start with the new ones"}
	return c, !f.ReloadFailedSince.IsZero()
}

func starting(f *Facts) (Cause, bool) {
	return Cause{Level: Starting, Word: "Starting", Why: "the node is opening its listeners"}, f.Starting
}

func healthy(f *Facts) Cause {
	return Cause{Level: OK, Word: "Healthy", Why: answer(f.VerifiedPeers) + "; " + requests(f.RequestsIn)}
}

// Over reports whether used is at least the share of a limit that is known.
func Over(used, limit int64, share float64) bool {
	return limit > 0 && float64(used) >= share*float64(limit)
}

// DiskLow reports whether a disk of a known size is nearly full.
func DiskLow(free, size int64) bool {
	return size > 0 && free < diskLowBytes && float64(free) < diskLow*float64(size)
}

// held reports whether a condition has held since a known time for at least d.
func held(f *Facts, since time.Time, d time.Duration) bool {
	return !since.IsZero() && f.Now.Sub(since) >= d
}
