package dht

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output of testdata/*.txt")

// TestScripts runs testdata/*.txt. Each block has commands, "----" and the output of the
// Machine after each command. See script.run for the commands.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	s := newScript()
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(src)), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(input + "\n----\n")
		for _, line := range strings.Split(input, "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				out.WriteString(s.run(t, strings.Fields(line)))
			}
		}
	}
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
		return
	}
	require.Equal(t, string(src), out.String())
}

type script struct {
	m     *Machine
	epoch time.Time
	now   time.Time
	peers map[string]kad.Peer
	names map[kad.PeerID]string
}

func newScript() *script {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &script{epoch: epoch, now: epoch, peers: map[string]kad.Peer{}, names: map[kad.PeerID]string{}}
	s.m = New(Config{
		Self: kad.Peer{ID: "self", Key: kad.Key{}},
		// In these scripts the greater value is better.
		Select: func(_, a, b []byte) bool { return string(b) > string(a) },
	})
	return s
}

// run executes one command:
//
//	peer NAME near KEY CPL     a peer that shares CPL bits with the key's target
//	peer NAME cpl CPL          a peer that shares CPL bits with self
//	at DURATION                sets the time since the start
//	restored [NAME...]         starts the Machine with a snapshot
//	found NAME [sure]
//	gone NAME
//	alive                      a peer of the table has asked something
//	longjoined                 the lookups that follow a join are over
//	heartbeats                 from now on
//	doubt                      the network may have changed
//	isolated                   since when no peer answers, and whether the node is isolated
//	first                      this node may be alone
//	start KIND KEY [count=N] [value=V]
//	schedule KEY DURATION      a provided key, due at that time
//	loaded KEY [until=DURATION] gives the query of a loaded key; with until, of a value that expires then
//	respond ID [closer=A,B] [providers=A,B] [value=V] [ttl=S] [received=DURATION] [group=G]
//	fail ID [notserver|refused|limited]
//	cancel QUERY
//	tick
//	settle                     answers every request in flight until none is left
//	trace                      ends each query with its trace from now on
//	table
func (s *script) run(t *testing.T, f []string) string {
	opt := options(f)
	switch f[0] {
	case "peer":
		s.addPeer(t, f)
		return ""
	case "at":
		d, err := time.ParseDuration(f[1])
		require.NoError(t, err)
		s.now = s.epoch.Add(d)
		return ""
	case "table":
		return s.table()
	case "trace":
		s.m.cfg.Trace = true
		return ""
	case "restored":
		s.m.Restored(s.now, s.list(t, strings.Join(f[1:], ",")))
	case "found":
		s.m.PeerFound(s.now, s.peer(t, f[1]), len(f) > 2)
	case "gone":
		s.m.PeerGone(s.now, s.peer(t, f[1]))
	case "alive":
		s.m.Alive(s.now)
	case "longjoined":
		s.m.upkeep.rejoin = time.Time{}
		return ""
	case "heartbeats":
		s.m.cfg.Heartbeat = true
		return ""
	case "doubt":
		s.m.Doubt(s.now)
	case "isolated":
		return s.isolated()
	case "first":
		s.m.cfg.First = true
		return ""
	case "start":
		s.start(t, f, opt)
	case "schedule":
		d, err := time.ParseDuration(f[2])
		require.NoError(t, err)
		s.m.Scheduled(s.now, republish.Item{Key: kad.KeyOf([]byte(f[1]))}, s.epoch.Add(d), false)
	case "loaded":
		q := &Query{Kind: StoreProvider, Key: []byte(f[1])}
		if until, ok := opt["until"]; ok {
			d, err := time.ParseDuration(until)
			require.NoError(t, err)
			q.Kind, q.Value = StoreValue, records.Value{Key: q.Key, Value: []byte("v"), Expires: s.epoch.Add(d)}
		}
		s.m.Loaded(s.now, republish.Item{Key: kad.KeyOf([]byte(f[1]))}, q, false)
	case "respond":
		s.respond(t, number(t, f[1]), opt)
	case "fail":
		err := errors.New("refused")
		if len(f) > 2 {
			err = map[string]error{"notserver": ErrNotServer, "refused": ErrRefused, "limited": ErrLimited}[f[2]]
		}
		s.m.Failed(s.now, RequestID(number(t, f[1])), err)
	case "cancel":
		s.m.Cancel(s.now, QueryID(number(t, f[1])))
	case "settle":
		s.settle()
		return ""
	case "tick":
		s.m.Tick(s.now)
	default:
		t.Fatalf("unknown command %q", f[0])
	}
	return s.output()
}

// settle answers the requests in flight without closer peers and drops the output.
func (s *script) settle() {
	for s.m.requests.len() > 0 {
		for id := RequestID(1); id <= s.m.lastRequest; id++ {
			s.m.Responded(s.now, id, Response{Message: &wire.Message{}})
		}
	}
	s.m.Take()
	s.m.lastRequest = 0
}

func options(f []string) map[string]string {
	opt := map[string]string{}
	for _, x := range f[1:] {
		if k, v, ok := strings.Cut(x, "="); ok {
			opt[k] = v
		}
	}
	return opt
}

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(strings.TrimLeft(s, "rq"), 10, 64)
	require.NoError(t, err)
	return n
}

func (s *script) addPeer(t *testing.T, f []string) {
	var key kad.Key
	if f[2] == "near" {
		key = kad.KeyOf([]byte(f[3]))
	}
	cpl := int(number(t, f[len(f)-1]))
	key[cpl/8] ^= 1 << (7 - cpl%8)
	key[31] ^= byte(len(s.peers)) // peers of one prefix differ
	p := kad.Peer{ID: kad.PeerID(f[1]), Key: key}
	s.peers[f[1]], s.names[p.ID] = p, f[1]
}

func (s *script) peer(t *testing.T, name string) kad.Peer {
	p, ok := s.peers[name]
	require.True(t, ok, "peer %q", name)
	return p
}

func (s *script) list(t *testing.T, names string) (ps []kad.Peer) {
	for name := range strings.SplitSeq(names, ",") {
		if name != "" {
			ps = append(ps, s.peer(t, name))
		}
	}
	return ps
}

func (s *script) start(t *testing.T, f []string, opt map[string]string) {
	for kind, name := range queryNames {
		if name != f[1] {
			continue
		}
		q := Query{Kind: QueryKind(kind), Key: []byte(f[2])}
		if n, ok := opt["count"]; ok {
			q.Count = int(number(t, n))
		}
		if v, ok := opt["value"]; ok {
			q.Value = records.Value{Key: q.Key, Value: []byte(v), Expires: s.now.Add(time.Hour)}
		}
		_, err := s.m.Start(s.now, q)
		require.NoError(t, err)
		return
	}
	t.Fatalf("unknown query %q", f[1])
}

func (s *script) respond(t *testing.T, id uint64, opt map[string]string) {
	msg := &wire.Message{}
	resp := Response{Message: msg, Closer: s.list(t, opt["closer"]), Group: kbucket.Group(opt["group"])}
	for _, p := range resp.Closer {
		msg.CloserPeers = append(msg.CloserPeers, wire.Peer{ID: p.ID, Addrs: [][]byte{{1}}})
	}
	for _, p := range s.list(t, opt["providers"]) {
		msg.ProviderPeers = append(msg.ProviderPeers, wire.Peer{ID: p.ID})
	}
	if v, ok := opt["value"]; ok {
		msg.Record = &wire.Record{Value: []byte(v)}
		if ttl, ok := opt["ttl"]; ok {
			msg.Record.TTL = uint32(number(t, ttl))
		}
		if received, ok := opt["received"]; ok {
			d, err := time.ParseDuration(received)
			require.NoError(t, err)
			msg.Record.TimeReceived = s.epoch.Add(d).Format(time.RFC3339Nano)
		}
	}
	s.m.Responded(s.now, RequestID(id), resp)
}

// output prints the Output of the Machine, one line for each item.
func (s *script) output() string {
	var b strings.Builder
	out := s.m.Take()
	for _, x := range out.Send {
		fmt.Fprintf(&b, "send r%d %s %s %s", x.ID, x.To.ID, x.Message.Type, printable(x.Message.Key))
		if x.Message.Record != nil {
			fmt.Fprintf(&b, " value=%s ttl=%d", x.Message.Record.Value, x.Message.Record.TTL)
		}
		fmt.Fprintln(&b)
	}
	for _, id := range out.Cancel {
		fmt.Fprintf(&b, "cancel r%d\n", id)
	}
	for _, t := range out.Traces {
		b.WriteString(traceText(t))
	}
	for _, p := range out.Progress {
		for _, x := range p.Providers {
			fmt.Fprintf(&b, "progress q%d provider %s\n", p.Query, x.ID)
		}
		if p.Value.Value != nil {
			fmt.Fprintf(&b, "progress q%d value %s until %s\n", p.Query, p.Value.Value, p.Value.Expires.Sub(s.epoch))
		}
	}
	for _, r := range out.Done {
		fmt.Fprintf(&b, "done q%d %s %s closest=%v", r.Query, r.Stats.Kind, r.Stats.Outcome, ids(r.Closest))
		if r.Value.Value != nil {
			fmt.Fprintf(&b, " value=%s responders=%d", r.Value.Value, r.Responders)
		}
		fmt.Fprintf(&b, " asked=%d responded=%d failed=%d hops=%d stored=%d/%d\n",
			r.Stats.Asked, r.Stats.Responded, r.Stats.Failed, r.Stats.Hops, r.Stats.StoredAt, r.Stats.StoreSent)
	}
	for range out.Load {
		fmt.Fprintln(&b, "load")
	}
	for _, p := range out.Published {
		fmt.Fprintf(&b, "published %s ok=%v stored=%d/%d due %s\n", p.Key, p.OK, p.Holders, p.Asked, p.Due.Sub(s.epoch))
	}
	if out.Bootstrap {
		fmt.Fprintln(&b, "bootstrap")
	}
	if out.Retry {
		fmt.Fprintln(&b, "retry")
	}
	if out.Expire {
		fmt.Fprintln(&b, "expire")
	}
	if out.Snapshot {
		fmt.Fprintln(&b, "snapshot")
	}
	return b.String()
}

// isolated prints since when no peer answers, and the Machine's Deadline.
func (s *script) isolated() string {
	since, isolated := s.m.Isolated(s.now)
	if since.IsZero() {
		return "answered\n"
	}
	return fmt.Sprintf("unanswered since %s isolated=%v\n", since.Sub(s.epoch), isolated)
}

// printable replaces the random preimages of refreshes by their common prefix length.
func printable(key []byte) string {
	if len(key) == 34 && key[0] == 0x12 {
		k := kad.KeyOf(key)
		return fmt.Sprintf("<cpl %d>", kad.CommonPrefixLen(&kad.Key{}, &k))
	}
	return string(key)
}

func ids(ps []kad.Peer) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, string(p.ID))
	}
	return out
}

func (s *script) table() string {
	var b strings.Builder
	for e := range s.m.Table().Entries {
		fmt.Fprintf(&b, "cpl %d %s verified=%v seen %s\n", e.CPL, e.Peer.ID, e.Verified, e.LastSeen.Sub(s.epoch))
	}
	if b.Len() == 0 {
		return "empty\n"
	}
	return b.String()
}
