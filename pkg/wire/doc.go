// Package wire is the language of /ipfs/kad/1.0.0: messages, their codec on
// protowire, frames and size limits.
//
// It promises that no input panics or makes it allocate beyond its limits, that
// unknown fields are tolerated and never echoed, and that what it writes other
// implementations read. It refuses to know streams, hosts or multiaddrs:
// addresses are opaque bytes here.
package wire
