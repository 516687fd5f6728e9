package config

import (
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
