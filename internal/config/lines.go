package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is the position of a key in a document, and the kind of its value.
type place struct {
	line int // from 1
	text string
	kind unstable.Kind // Invalid: a list with an element that is not text
}

// places returns the position of every key of a valid TOML document.
func places(data []byte) map[string]place {
	found := map[string]place{}
	p := unstable.Parser{}
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, _ = keyParts(e)
		case unstable.KeyValue:
			addPlaces(&p, found, table, e)
		}
	}
	return found
}

// addPlaces adds the key of kv, and the keys of an inline table below it.
func addPlaces(p *unstable.Parser, found map[string]place, prefix []string, kv *unstable.Node) {
	parts, last := keyParts(kv)
	path := append(slices.Clone(prefix), parts...)
	v := kv.Value()
	found[strings.Join(path, ".")] = place{p.Shape(last.Raw).Start.Line, string(v.Data), kindOf(v)}
	if v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			addPlaces(p, found, path, it.Node())
		}
	}
}

// withoutValue replaces the lines of the key and value at a line by empty ones. removed is false
// if there is a table header or nothing at that line, or the document is not valid TOML.
func withoutValue(data []byte, row int) (rest []byte, removed bool) {
	p := unstable.Parser{}
	p.Reset(data)
	lines := bytes.SplitAfter(data, []byte("\n"))
	kind, from, to := unstable.Invalid, 0, len(lines)+1 // lines, from 1; to is that of the next expression
	for p.NextExpression() {
		e := p.Expression()
		_, last := keyParts(e)
		switch line := p.Shape(last.Raw).Start.Line; {
		case line <= row:
			kind, from = e.Kind, line
		default:
			to = min(to, line)
		}
	}
	if p.Error() != nil || kind != unstable.KeyValue {
		return data, false
	}
	for i := from; i < to; i++ {
		lines[i-1] = []byte("\n")
	}
	return bytes.Join(lines, nil), true
}

func kindOf(v *unstable.Node) unstable.Kind {
	if v.Kind == unstable.Array {
		for it := v.Children(); it.Next(); {
			if k := it.Node().Kind; k != unstable.String && k != unstable.Comment {
				return unstable.Invalid
			}
		}
	}
	return v.Kind
}

func keyParts(n *unstable.Node) (parts []string, last *unstable.Node) {
	for it := n.Key(); it.Next(); {
		last = it.Node()
		parts = append(parts, string(last.Data))
	}
	return parts, last
}

// suggest returns a hint with the known key most similar to path, or with the command
// that prints all keys.
func suggest(path string) string {
	best, distance := "", 4 // more than three typing errors make another word
	for _, k := range keys {
		if d := editDistance(path, k.Path()); d < distance {
			best, distance = k.Path(), d
		}
		if _, name, ok := strings.Cut(path, "."); ok && name == k.Name && distance == 4 {
			best = k.Path()
		}
	}
	if best == "" {
		return "; `holdfast config default` prints every key"
	}
	return "; did you mean " + best + "?"
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
