package sim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// TestScripts runs testdata/world/*.txt: each block is commands, "----" and what happens
// then. worldScript.run documents the commands.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/world/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			src, err := os.ReadFile(path)
			require.NoError(t, err)
			s := &worldScript{t: t}
			var out strings.Builder
			for i, block := range strings.Split(strings.TrimSpace(string(src)), "\n\n") {
				input, _, _ := strings.Cut(block, "\n----")
				if i > 0 {
					out.WriteString("\n")
				}
				out.WriteString(input + "\n----\n")
				for _, line := range strings.Split(input, "\n") {
					if !strings.HasPrefix(line, "#") {
						out.WriteString(s.run(strings.Fields(line)))
					}
				}
			}
			file(t, filepath.Join("world", filepath.Base(path)), out.String())
		})
	}
}

// worldScript is a quiet world in which every round trip takes 80 ms.
type worldScript struct {
	t        *testing.T
	w        *World
	contents map[string]*content
}

// run executes one command:
//
//	world [OPTION=VALUE...]   nodes that know each other and do nothing of their own
//	loss SHARE                of packets, from now on
//	run DURATION              runs the world and prints its events, without wakes
//	lookup NODE               looks for a key that is named key
//	provide|put|publish NODE CONTENT, find NODE CONTENT
//	start|stop|save|lie|client NODE...
//	part NODE... and heal     part: these nodes are on the other side
//	holders CONTENT           nodes that took its record, and until when
//	ops                       how the operations went, since the last time
//	table NODE                peers verified and not
//	traffic                   requests and bytes by type, since the last time
func (s *worldScript) run(f []string) string {
	w := s.w
	switch f[0] {
	case "world":
		s.world(f[1:])
	case "loss":
		p, err := strconv.ParseFloat(f[1], 64)
		require.NoError(s.t, err)
		w.links.loss = p
	case "run":
		return s.pass(f[1])
	case "lookup":
		key := s.content("key").key
		w.ask(s.nodes(f[1:])[0], &op{kind: opLookup, target: kad.KeyOf(key)}, dht.Query{Kind: dht.FindClosest, Key: key})
	case "provide", "put", "publish":
		c := s.content(f[2])
		c.value = f[0] == "put"
		c.version++
		w.provideBy(s.nodes(f[1:2])[0], c, f[0] == "publish")
	case "find":
		s.find(s.nodes(f[1:2])[0], s.content(f[2]))
	case "heal":
		w.heal()
	case "holders":
		return s.holders(f[1])
	case "ops":
		return s.ops()
	case "table":
		return s.table(s.nodes(f[1:])[0])
	case "traffic":
		return s.traffic()
	default:
		for _, n := range s.nodes(f[1:]) {
			s.node(f[0], n)
		}
	}
	return ""
}

func (s *worldScript) world(options []string) {
	o := DefaultOptions()
	o.Check = true
	for _, x := range options {
		name, value, _ := strings.Cut(x, "=")
		require.NoError(s.t, o.Set(name, value))
	}
	w := New(o, nil)
	w.queue, w.wakes = queue{}, wakes{}
	for _, n := range w.nodes {
		n.started = true
	}
	w.links.spread = slices.Repeat(quantiles{80 * time.Millisecond}, quantileCount)
	s.w, s.contents = w, map[string]*content{}
}

func (s *worldScript) node(verb string, n *node) {
	switch verb {
	case "start":
		s.w.start(n)
	case "stop":
		s.w.stop(n)
	case "save":
		s.w.save(n)
	case "lie":
		s.w.turn(n)
	case "client":
		n.client = true
		s.w.truth.remove(n.num)
	case "part":
		n.side, s.w.parted = 1, true
	default:
		require.Fail(s.t, "no such command", verb)
	}
}

func (s *worldScript) nodes(words []string) (out []*node) {
	for _, word := range words {
		i, err := strconv.Atoi(word)
		require.NoError(s.t, err)
		out = append(out, s.w.nodes[i])
	}
	return out
}

// content returns the content with that name. Its key is derived from the name.
func (s *worldScript) content(name string) *content {
	c := s.contents[name]
	if c == nil {
		key := append([]byte{0x12, 0x20, 0xff, 0xff, 0xff, 0xff}, strings.Repeat(name+"-------", idLen)[:idLen-6]...)
		c = &content{key: key, at: kad.KeyOf(key)}
		s.contents[name] = c
	}
	return c
}

// find looks for a content's record, even if no node stored one.
func (s *worldScript) find(n *node, c *content) {
	if c.value {
		s.w.ask(n, &op{kind: opGet, target: c.at, content: c}, dht.Query{Kind: dht.FindValue, Key: c.key})
		return
	}
	s.w.ask(n, &op{kind: opFind, target: c.at, content: c}, dht.Query{Kind: dht.FindProviders, Key: c.key, Count: 1})
}

// pass runs the world for a time and returns the trace.
func (s *worldScript) pass(length string) string {
	d, err := time.ParseDuration(length)
	require.NoError(s.t, err)
	var trace bytes.Buffer
	s.w.TraceTo(&trace)
	s.w.RunUntil(s.w.now + d)
	require.NoError(s.t, s.w.FinishTrace())
	require.Empty(s.t, s.w.Violations())
	s.w.trace.out = nil
	var out strings.Builder
	for line := range strings.Lines(trace.String()) {
		if !strings.Contains(line, " wake ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func (s *worldScript) holders(name string) string {
	var out strings.Builder
	for _, h := range s.content(name).holders {
		fmt.Fprintf(&out, "node %d until %v\n", h.node.num, h.expires)
	}
	return out.String()
}

func (s *worldScript) ops() string {
	var out strings.Builder
	for k := range s.w.phase.ops {
		x := &s.w.phase.ops[k]
		if x.count+x.refused == 0 {
			continue
		}
		fmt.Fprintf(&out, "%s: %d of %d succeeded in %d ms with %d requests, %d rounds",
			opNames[k], x.succeeded, x.count, x.took.quantile(1)/1000, x.messages.sum, x.rounds.quantile(1))
		if len(x.stored.list) > 0 && (opKind(k) == opProvide || opKind(k) == opPut) {
			fmt.Fprintf(&out, ", stored at %d", x.stored.sum)
		}
		if x.failed > 0 {
			fmt.Fprintf(&out, ", %d failed", x.failed)
		}
		out.WriteString("\n")
		*x = opStats{}
	}
	return out.String()
}

func (s *worldScript) table(n *node) string {
	peers, verified := n.table.Len()
	return fmt.Sprintf("%d peers, %d verified\n", peers, verified)
}

func (s *worldScript) traffic() string {
	var out strings.Builder
	for i := range s.w.phase.traffic {
		x := &s.w.phase.traffic[i]
		if x.requests > 0 {
			fmt.Fprintf(&out, "%v: %d requests of %d bytes, %d answers of %d bytes\n", wire.Type(i), x.requests, x.requestBytes, x.answers, x.answerBytes)
		}
		*x = traffic{}
	}
	return out.String()
}
