// Package kad is the keyspace: 256-bit keys, the XOR metric, prefixes and peers.
//
// It promises comparisons without allocation and refuses to know anything of
// networks, tables or time. Every type here is a plain value.
package kad
