// Package kad is the keyspace: 256-bit keys, the XOR metric, prefixes and peers.
//
// Comparisons do not allocate. Nothing here knows about networks, tables or time:
// every type is a plain value.
package kad
