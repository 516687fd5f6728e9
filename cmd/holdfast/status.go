package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/pkg/api"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how the node is doing",
		Long:    `Show how the node is doing: network, table, records, background work.`,
		Example: `  holdfast status --json | jq .table_peers`,
		Args:    exactly(),
		RunE: a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			s, err := b.Status(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			return a.printStatus(&s)
		}),
	}
	return a.daemonFlags(cmd)
}

func (a *app) printStatus(s *api.Status) error {
	role := "asking only"
	if s.Serving {
		role = "serving"
	}
	size := "unknown"
	if s.NetworkSize > 0 {
		size = "about " + strconv.FormatFloat(s.NetworkSize, 'f', 0, 64) + " peers"
	}
	starts := "-"
	if s.Starts > 0 {
		starts = fmt.Sprintf("%d, %d of them unclean", s.Starts, s.UncleanStarts)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return a.fields(
		"State", alarmIf(s.State != "ready", stateText(s)),
		"Peer ID", s.PeerID,
		"Version", s.Version,
		"Uptime", span(time.Duration(s.UptimeSeconds*float64(time.Second))),
		"Starts", alarmIf(s.UncleanStarts > 0, starts),
		"Mode", fmt.Sprintf("%s (%s, reachability %s)", s.Mode, role, s.Reachability),
		"Table", alarmIf(s.VerifiedPeers == 0, fmt.Sprintf("%s, %d verified, %d restored at start",
			counted(s.TablePeers, "peer"), s.VerifiedPeers, s.RestoredPeers)),
		"Connections", number(int64(s.ConnectedPeers)),
		"Network size", size,
		"Records held", fmt.Sprintf("%s, %s", counted(s.ProviderRecords, "provider record"), counted(s.ValueRecords, "value")),
		"Published keys", alarmIf(s.OverdueKeys > 0, fmt.Sprintf("%d, %d overdue", s.PublishedKeys, s.OverdueKeys)),
		"Refused by quotas", alarmIf(len(s.Refused) > 0, refusedText(s.Refused)),
		"Database", alarmIf(s.DBFill > nearlyFull, databaseText(s)),
		"Disk", alarmIf(!s.DiskFullSince.IsZero(), diskText(s)),
		"Old copies", copiesText(s),
		"Data directory", orDash(s.DataDir),
		"Status page", webText(s.MetricsAddr),
		"Delegated routing", orDash(s.RoutingAddr),
		"Running queries", number(int64(s.Queries)),
		"Last snapshot", ago(s.LastSnapshot),
		"Last expiry", ago(s.LastExpiry),
		"Last refresh", ago(s.LastRefresh),
		"Last republish", ago(s.LastRepublish),
	)
}

// nearlyFull is the share of the database's capacity above which it is told as a
// problem: new records will soon be refused.
const nearlyFull = 0.9

// stateText is the state of a node; isolation stands out.
func stateText(s *api.Status) string {
	if s.IsolatedSince.IsZero() {
		return s.State
	}
	return fmt.Sprintf("ISOLATED since %s (%s): no peer answers", s.IsolatedSince.Local().Format(time.DateTime), ago(s.IsolatedSince))
}

func databaseText(s *api.Status) string {
	if s.DBMaxBytes == 0 {
		return "none, records are in memory"
	}
	most := bytesText(s.DBMaxBytes)
	if s.DBMost > 0 && s.DBMost < s.DBMaxBytes {
		most = fmt.Sprintf("%s (all that the disk has room for; storage.max_bytes is %s)", bytesText(s.DBMost), most)
	}
	return fmt.Sprintf("%s of at most %s, %.0f %% of the space for new records used", bytesText(s.DBBytes), most, 100*s.DBFill)
}

// diskText says how much space the file system of the data directory has.
func diskText(s *api.Status) string {
	if s.DiskTotal == 0 {
		return "-"
	}
	text := fmt.Sprintf("%s of %s free", bytesText(s.DiskFree), bytesText(s.DiskTotal))
	if !s.DiskFullSince.IsZero() {
		text = fmt.Sprintf("FULL since %s, %s: new records are refused, nothing can be published", s.DiskFullSince.Local().Format(time.DateTime), text)
	}
	return text
}

// copiesText tells of the files beside the database that take space for nothing.
func copiesText(s *api.Status) string {
	if s.Copies == 0 {
		return "none"
	}
	return fmt.Sprintf("%s of %s (*.corrupt-*, *.replaced*, *.schema-*); remove them when you no longer need them",
		counted(s.Copies, "file"), bytesText(s.CopiesBytes))
}

// refusedText lists which quota refused how much since the start.
func refusedText(refused map[string]int64) string {
	if len(refused) == 0 {
		return "nothing"
	}
	var total int64
	var parts []string
	for _, quota := range slices.Sorted(maps.Keys(refused)) {
		total += refused[quota]
		parts = append(parts, fmt.Sprintf("%s by %s", humanize.Comma(refused[quota]), quota))
	}
	return fmt.Sprintf("%s %s: %s", humanize.Comma(total), english.PluralWord(int(total), "record", ""), strings.Join(parts, ", "))
}

// webText is where a listener answers browsers; "-" if it is off.
func webText(addr string) string {
	if addr == "" {
		return "-"
	}
	return "http://" + addr + "/ (/metrics for Prometheus)"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) peersCommand() *cobra.Command {
	var usage bool
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "List connected peers and those of the routing table",
		Long: `List connected peers and those of the routing table. --usage lists instead what each
peer has cost this node since it started, most bytes first: its requests by type,
bytes and time; and how many provider records here name it. Its values are not
counted. The node tells 4096 peers apart; the rest are summed up in the last line.`,
		Example: `  holdfast peers
  holdfast peers --usage | head`,
		Args: exactly(),
		RunE: a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			if usage {
				return a.printUsage(ctx, b)
			}
			peers, err := b.Peers(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, p := range peers {
				if a.json {
					if err := a.printJSON(p); err != nil {
						return err
					}
				}
				rows = append(rows, []string{p.PeerID, orDash(p.Direction), yesNo(p.InTable), orDash(p.Agent), strings.Join(p.Addrs, " ")})
			}
			if a.json {
				return nil
			}
			return a.table([]string{"PEER", "CONNECTION", "IN TABLE", "AGENT", "ADDRESSES"}, rows)
		}),
	}
	cmd.Flags().BoolVar(&usage, "usage", false, "what each peer has cost this node")
	return a.nodeFlags(cmd)
}

func (a *app) tableCommand() *cobra.Command {
	var report bool
	cmd := &cobra.Command{
		Use:   "table",
		Short: "Show the routing table",
		Long: `Show the routing table: the peers of each bucket. CPL is how many leading bits a
peer's key shares with this node's; the higher, the nearer. --report sums up each
bucket instead: how full, how fresh, and where the gaps are: buckets without a peer
though so many deeper ones have some that there must be peers for them. The deepest
buckets of any table are empty or nearly so.`,
		Example: `  holdfast table
  holdfast table --report`,
		Args: exactly(),
		RunE: a.with(func(ctx context.Context, b api.Backend, _ []string) error {
			peers, err := b.Table(ctx)
			if err != nil {
				return err
			}
			if report {
				return a.printReport(bucketsOf(peers))
			}
			return a.printTable(peers)
		}),
	}
	cmd.Flags().BoolVar(&report, "report", false, "sum up each bucket")
	return a.nodeFlags(cmd)
}

func (a *app) printTable(peers []api.TablePeer) error {
	var rows [][]string
	for _, p := range peers {
		if a.json {
			if err := a.printJSON(p); err != nil {
				return err
			}
		}
		rows = append(rows, []string{
			strconv.Itoa(p.CPL), p.PeerID, yesNo(p.Verified), ago(p.LastSeen),
			fmt.Sprintf("%.1f ms", p.RTTMs), strings.Join(p.Addrs, " "),
		})
	}
	if a.json {
		return nil
	}
	const verified = 2 // the column
	return a.tableWith([]string{"CPL", "PEER", "VERIFIED", "LAST SEEN", "RTT", "ADDRESSES"}, rows,
		func(row, column int) bool { return column == verified && !peers[row].Verified })
}

// bucketSize is k, the room of a bucket.
const bucketSize = 20

// bucket sums up the peers of one bucket.
type bucket struct {
	CPL      int       `json:"cpl"`
	Peers    int       `json:"peers"`
	Verified int       `json:"verified"`
	Room     int       `json:"room"` // k
	Newest   time.Time `json:"newest_seen,omitzero"`
	Oldest   time.Time `json:"oldest_seen,omitzero"`
	Gap      bool      `json:"gap"` // empty, which chance does not explain
}

// gapDeeper is how many peers in deeper buckets make an empty one a gap. A bucket has
// about as many peers to offer as all deeper ones together: that it has none while
// they have six comes about by chance once in a hundred times.
const gapDeeper = 6

// bucketsOf sums up the buckets from CPL 0 to the highest that has a peer.
func bucketsOf(peers []api.TablePeer) []bucket {
	var buckets []bucket
	for _, p := range peers {
		for len(buckets) <= p.CPL {
			buckets = append(buckets, bucket{CPL: len(buckets), Room: bucketSize})
		}
		b := &buckets[p.CPL]
		b.Peers++
		if p.Verified {
			b.Verified++
		}
		if b.Newest.Before(p.LastSeen) {
			b.Newest = p.LastSeen
		}
		if b.Oldest.IsZero() || p.LastSeen.Before(b.Oldest) {
			b.Oldest = p.LastSeen
		}
	}
	deeper := 0
	for i := len(buckets) - 1; i >= 0; i-- {
		buckets[i].Gap = buckets[i].Peers == 0 && deeper >= gapDeeper
		deeper += buckets[i].Peers
	}
	return buckets
}

func (a *app) printReport(buckets []bucket) error {
	var rows [][]string
	total, filled, gaps := 0, 0, 0
	for _, b := range buckets {
		if a.json {
			if err := a.printJSON(b); err != nil {
				return err
			}
		}
		note := ""
		if b.Gap {
			note = "gap"
			gaps++
		}
		total += b.Peers
		filled += min(b.Peers, 1)
		fill := strings.Repeat("#", b.Peers) + strings.Repeat(".", max(b.Room-b.Peers, 0))
		rows = append(rows, []string{
			strconv.Itoa(b.CPL), strconv.Itoa(b.Peers), strconv.Itoa(b.Verified), fill, ago(b.Newest), ago(b.Oldest), note,
		})
	}
	if a.json {
		return nil
	}
	err := a.tableWith([]string{"CPL", "PEERS", "VERIFIED", "FILL", "NEWEST", "OLDEST", ""}, rows,
		func(row, _ int) bool { return buckets[row].Gap })
	if err != nil {
		return err
	}
	return a.printf("%s in %s, %s\n", counted(total, "peer"), counted(filled, "bucket"), counted(gaps, "gap"))
}
