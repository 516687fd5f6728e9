package main

import (
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

const bootstrapFlag = "--bootstrap"

// expandBootstrap lets --bootstrap have any number of values, including none:
// `--bootstrap A B` becomes `--bootstrap A --bootstrap B`. The word after the flag is
// always a value. Further words are values only if they are addresses, so that a key or a
// command can follow.
func expandBootstrap(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		if args[i] != bootstrapFlag {
			out = append(out, args[i])
			if !strings.HasPrefix(args[i], bootstrapFlag+"=") {
				continue
			}
		} else if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			out = append(out, bootstrapFlag, args[i])
		}
		for i+1 < len(args) && isAddr(args[i+1]) {
			i++
			out = append(out, bootstrapFlag, args[i])
		}
	}
	return out
}

// isAddr reports whether s is a multiaddr to dial. Keys such as /pk/... and /ipfs/... are
// not.
func isAddr(s string) bool {
	switch first, _, _ := strings.Cut(strings.TrimPrefix(s, "/"), "/"); first {
	case "ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr":
	default:
		return false
	}
	_, err := ma.NewMultiaddr(s)
	return strings.HasPrefix(s, "/") && err == nil
}
