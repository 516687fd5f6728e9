// Package wire encodes and decodes the messages of /ipfs/kad/1.0.0: messages, their
// codec on protowire, frames and size limits.
//
// No input panics or allocates beyond the limits. Unknown fields are skipped and never
// echoed. Other implementations can read what the package writes. It knows nothing about
// streams, hosts or multiaddrs: addresses are opaque bytes.
package wire
