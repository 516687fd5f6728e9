package rpcbench

import (
	"encoding/binary"
	"io"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// The protocols of the limits. A stream begins with two numbers of four bytes: for the echo,
// the size of a request and the content size of a reply; for the sink, the size and the
// number of messages.
const (
	echoProtocol = protocol.ID("/holdfast/bench/echo/1.0.0")
	sinkProtocol = protocol.ID("/holdfast/bench/sink/1.0.0")
)

// maxMessage bounds a message of these protocols in bytes.
const maxMessage = 1 << 20

// serveLimits registers the protocols of the limits on h.
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
		_ = s.Close() // the peer has received the byte it waits for
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

// echo answers requests of a fixed size with replies of a fixed size until the stream ends:
// the minimum work of a server.
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

// frameOf returns a frame with the given number of content bytes.
func frameOf(content int) []byte {
	return append(binary.AppendUvarint(nil, uint64(content)), make([]byte, content)...)
}

// sink reads the announced number of messages and then writes one byte.
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
