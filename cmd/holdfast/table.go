package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// tableCommand is `holdfast table`.
type tableCommand struct {
	*app
	report bool
}

func newTable(a *app) *cobra.Command {
	c := &tableCommand{app: a}
	cmd := &cobra.Command{
		Use:   "table",
		Short: "Show the routing table",
		Long: `Show the routing table: the peers of each bucket. CPL is how many leading bits a peer's
key shares with this node's; the higher, the nearer. --report shows a summary of each bucket
instead: how full and how fresh it is, and whether it is a gap. A gap is an empty bucket for
which there must be peers, because the deeper buckets have so many. The deepest buckets of
any table are empty or nearly empty.`,
		Example: `  holdfast table
  holdfast table --report`,
		Args: exactly(),
		RunE: a.with(c.run),
	}
	cmd.Flags().BoolVar(&c.report, "report", false, "show a summary of each bucket")
	return a.nodeFlags(cmd)
}

func (c *tableCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	peers, err := b.Table(ctx)
	if err != nil {
		return err
	}
	if c.report {
		return c.printReport(bucketsOf(peers))
	}
	return c.print(peers)
}

func (c *tableCommand) print(peers []api.TablePeer) error {
	if c.json {
		return printLines(c.app, peers)
	}
	var rows [][]string
	for _, p := range peers {
		rows = append(rows, []string{
			strconv.Itoa(p.CPL), p.PeerID, yesNo(p.Verified), ago(p.LastSeen),
			fmt.Sprintf("%.1f ms", p.RTTMs), strings.Join(p.Addrs, " "),
		})
	}
	const verified = 2 // the column
	return c.tableWith([]string{"CPL", "PEER", "VERIFIED", "LAST SEEN", "RTT", "ADDRESSES"}, rows,
		func(row, column int) bool { return column == verified && !peers[row].Verified })
}

// bucketSize is k, the capacity of a bucket.
const bucketSize = 20

// bucket is the summary of one bucket.
type bucket struct {
	CPL      int       `json:"cpl"`
	Peers    int       `json:"peers"`
	Verified int       `json:"verified"`
	Room     int       `json:"room"` // k
	Newest   time.Time `json:"newest_seen,omitzero"`
	Oldest   time.Time `json:"oldest_seen,omitzero"`
	Gap      bool      `json:"gap"` // empty, and not by chance
}

// gapDeeper is how many peers in deeper buckets make an empty bucket a gap. About as many
// peers exist for a bucket as for all deeper ones together, so the chance that none exist
// while the deeper ones have six is about one in a hundred.
const gapDeeper = 6

// bucketsOf returns the summaries of the buckets from CPL 0 to the highest that has a
// peer.
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

func (c *tableCommand) printReport(buckets []bucket) error {
	if c.json {
		return printLines(c.app, buckets)
	}
	var rows [][]string
	total, filled, gaps := 0, 0, 0
	for _, b := range buckets {
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
	err := c.tableWith([]string{"CPL", "PEERS", "VERIFIED", "FILL", "NEWEST", "OLDEST", ""}, rows,
		func(row, _ int) bool { return buckets[row].Gap })
	if err != nil {
		return err
	}
	return c.printf("%s in %s, %s\n", counted(total, "peer"), counted(filled, "bucket"), counted(gaps, "gap"))
}
