package wire

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// frameStep is how many bytes are allocated at first, for any length prefix. The buffer
// then grows with the bytes that arrive: a peer that claims 4 MiB must send them.
const frameStep = 64 << 10

// AppendFrame appends the length prefix and the encoded message.
func AppendFrame(dst []byte, m *Message) []byte {
	dst = protowire.AppendVarint(dst, uint64(m.Size()))
	return m.Append(dst)
}

// ByteReader is what ReadFrame reads from; *bufio.Reader is one.
type ByteReader interface {
	io.Reader
	io.ByteReader
}

// ReadFrame reads one frame of at most limit bytes into buf, which it grows as
// data arrives, and returns its content. io.EOF means that the stream ended
// between frames; within one it is io.ErrUnexpectedEOF.
func ReadFrame(r ByteReader, buf []byte, limit int) ([]byte, error) {
	size, err := readPrefix(r, limit)
	if err != nil {
		return nil, err
	}
	buf = buf[:0]
	for len(buf) < size {
		have := len(buf)
		buf = grow(buf, min(size-have, max(have, frameStep)))
		n, err := io.ReadFull(r, buf[have:cap(buf)][:min(size-have, cap(buf)-have)])
		buf = buf[:have+n]
		if err != nil {
			return nil, fmt.Errorf("read frame: %w", noEOF(err))
		}
	}
	return buf, nil
}

// readPrefix reads a length prefix byte by byte.
func readPrefix(r io.ByteReader, limit int) (int, error) {
	var p [binary.MaxVarintLen64]byte
	for i := range p {
		c, err := r.ReadByte()
		if err != nil {
			if i > 0 {
				err = noEOF(err)
			}
			return 0, wrapRead(err)
		}
		p[i] = c
		if c < 0x80 {
			size, _, err := framePrefix(p[:i+1], limit)
			return size, err
		}
	}
	return 0, ErrFrameTooLarge
}

// framePrefix decodes the length prefix at the start of b: the size of the
// content and of the prefix itself, 0 if b does not hold all of it yet.
func framePrefix(b []byte, limit int) (size, prefix int, err error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0 && len(b) < binary.MaxVarintLen64:
		return 0, 0, nil
	case n <= 0 || v > uint64(max(limit, 0)):
		return 0, 0, ErrFrameTooLarge
	case n > 1 && b[n-1] == 0:
		return 0, 0, fmt.Errorf("%w: length prefix is not minimal", ErrMalformed)
	}
	return int(v), n, nil
}

// A FrameReader splits what it reads into frames, in place. It is owned by one
// goroutine. The zero value is not usable; see NewFrameReader.
type FrameReader struct {
	limit      int // bytes of content
	left       int // content not taken yet of a frame that is read in parts
	buf        []byte
	start, end int // unread bytes of buf
	reserve    func(delta int) error
}

// frameKeep is the largest buffer that a FrameReader keeps between frames, in bytes,
// because many streams are idle and few frames are large.
const frameKeep = 8 << 10

// NewFrameReader returns a reader of frames of at most limit bytes that starts
// with a buffer of the given size; requests have some 50 bytes.
func NewFrameReader(size, limit int) *FrameReader {
	return &FrameReader{limit: limit, buf: make([]byte, max(size, 2*binary.MaxVarintLen64))}
}

// Reserve makes f call reserve before its buffer grows and after it shrinks, with the
// change in bytes. If reserve fails, the Fill that needed more memory fails too.
func (f *FrameReader) Reserve(reserve func(delta int) error) { f.reserve = reserve }

// Buffered returns how many bytes were read but not yet taken as frames.
func (f *FrameReader) Buffered() int { return f.end - f.start }

// Next removes the next whole frame from the buffer and returns its content; ok is false
// if more must be read first. The content is valid until the next call of Fill.
func (f *FrameReader) Next() (frame []byte, ok bool, err error) {
	b := f.buf[f.start:f.end]
	size, prefix, err := framePrefix(b, f.limit)
	if err != nil || prefix == 0 || len(b)-prefix < size {
		return nil, false, err
	}
	f.start += prefix + size
	return b[prefix : prefix+size : prefix+size], true, nil
}

// Part returns a part of the next frame: the whole rest of it (last is true), or whole
// fields of its message once size bytes have arrived. ok is false if more must be read
// first. The caller calls Take with the length of the part afterwards. A frame may
// therefore be far longer than the buffer, which grows to size, or to longest for a
// single field, both rounded up to a doubling of its first size. A field beyond longest
// is ErrFrameTooLarge. A part is valid until the next call of Fill.
func (f *FrameReader) Part(size, longest int) (part []byte, last, ok bool, err error) {
	if f.left == 0 {
		content, prefix, err := framePrefix(f.buf[f.start:f.end], f.limit)
		if err != nil || prefix == 0 {
			return nil, false, false, err
		}
		f.start += prefix
		f.left = content
	}
	part = f.buf[f.start:f.end]
	if len(part) >= f.left {
		return part[:f.left:f.left], true, true, nil
	}
	if len(part) < size {
		return nil, false, false, nil
	}
	switch whole := WholeFields(part); {
	case whole < 0:
		return nil, false, false, ErrMalformed
	case whole > 0:
		return part[:whole:whole], false, true, nil
	case len(part) >= longest:
		return nil, false, false, fmt.Errorf("%w: a field has over %d bytes", ErrFrameTooLarge, longest)
	}
	return nil, false, false, nil
}

// Take drops the first n bytes of a part.
func (f *FrameReader) Take(n int) {
	f.start += n
	f.left -= n
}

// Fill reads once from r. io.EOF means that r ended between frames; within one
// it is io.ErrUnexpectedEOF.
func (f *FrameReader) Fill(r io.Reader) (int, error) {
	if err := f.makeRoom(); err != nil {
		return 0, err
	}
	n, err := r.Read(f.buf[f.end:])
	f.end += n
	if n > 0 {
		return n, nil // the next call returns the error again
	}
	if err != nil {
		if f.Buffered() > 0 || f.left > 0 {
			err = noEOF(err)
		}
		return 0, wrapRead(err)
	}
	return 0, nil
}

// makeRoom makes room behind the unread bytes. Without any, it starts at the front again,
// with frameKeep bytes at most. Otherwise it moves them to the front, and doubles the
// buffer only if they fill it: a frame's announced length reserves nothing.
func (f *FrameReader) makeRoom() error {
	if f.start == f.end {
		f.start, f.end = 0, 0
		if len(f.buf) > frameKeep {
			return f.resize(frameKeep)
		}
		return nil
	}
	if f.start > 0 {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	if f.end == len(f.buf) {
		return f.resize(2 * len(f.buf))
	}
	return nil
}

// resize replaces the buffer by one of size bytes, with the unread bytes at its front.
func (f *FrameReader) resize(size int) error {
	if f.reserve != nil {
		if err := f.reserve(size - len(f.buf)); err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
	}
	buf := make([]byte, size)
	copy(buf, f.buf[:f.end])
	f.buf = buf
	return nil
}

// grow returns b with capacity for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+n), b...)
}

// IsEnd reports whether a reader has ended normally: err is io.EOF itself. An error that
// wraps io.EOF is not a normal end, because yamux reports a lost connection that way.
func IsEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

// wrapRead wraps err, but not io.EOF; see IsEnd.
func wrapRead(err error) error {
	if IsEnd(err) {
		return err
	}
	return fmt.Errorf("read frame: %w", err)
}

func noEOF(err error) error {
	if IsEnd(err) {
		return io.ErrUnexpectedEOF
	}
	return err
}
