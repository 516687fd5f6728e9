package rpcbench

import (
	"encoding/binary"
	"io"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// The protocols of the limits. A stream begins with two numbers of four bytes: of
// the echo the size of a request and of the content of a reply, of the sink the
// size and the count of messages.
const (
	echoProtocol = protocol.ID("/holdfast/bench/echo/1.0.0")
	sinkProtocol = protocol.ID("/holdfast/bench/sink/1.0.0")
)

// maxMessage bounds what a message of the limits may be in bytes.
const maxMessage = 1 << 20

// serveLimits has h serve the limits.
func serveLimits(h host.Host) {
	h.SetStreamHandler(echoProtocol, func(s network.Stream) {
		defer func() { _ = s.Reset() }()
		echo(s)
	})
	h.SetStreamHandler(sinkProtocol, func(s network.Stream) {
		if sink(s) != nil {
			_ = s.Reset()
			return
		}
		_ = s.Close() // the other side has what it waits for
	})
}

func readTwo(s io.Reader) (a, b int, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return 0, 0, err
	}
	return int(binary.BigEndian.Uint32(head[:])), int(binary.BigEndian.Uint32(head[4:])), nil
}

func twoNumbers(a, b int) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(a))
	return binary.BigEndian.AppendUint32(head, uint32(b))
}

// echo answers each request of a size with a reply of a size, until the stream
// ends: the least that a server can do.
func echo(s io.ReadWriter) {
	request, reply, err := readTwo(s)
	if err != nil || request < 1 || request > maxMessage || reply < 1 || reply > maxMessage {
		return
	}
	in, out := make([]byte, request), frameOf(reply)
	for {
		if _, err := io.ReadFull(s, in); err != nil {
			return
		}
		if _, err := s.Write(out); err != nil {
			return
		}
	}
}

// frameOf returns a frame with so many bytes of content.
func frameOf(content int) []byte {
	return append(binary.AppendUvarint(nil, uint64(content)), make([]byte, content)...)
}

// sink reads a count of messages of a size and then writes a byte.
func sink(s io.ReadWriter) error {
	size, count, err := readTwo(s)
	if err != nil || size < 1 || size > maxMessage {
		return io.ErrUnexpectedEOF
	}
	buf := make([]byte, 4096)
	for left := size * count; left > 0; {
		n, err := s.Read(buf[:min(left, len(buf))])
		if left -= n; err != nil && left > 0 {
			return err
		}
	}
	_, err = s.Write([]byte{1})
	return err
}
