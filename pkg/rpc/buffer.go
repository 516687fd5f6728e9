package rpc

import "sync"

// maxPooled is the largest buffer kept for reuse, in bytes.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func takeBuffer() *[]byte { return buffers.Get().(*[]byte) }

func giveBuffer(b *[]byte) {
	if pooled(*b) {
		buffers.Put(b)
	}
}

// pooled reports whether b may be kept for reuse.
func pooled(b []byte) bool { return cap(b) <= maxPooled }
