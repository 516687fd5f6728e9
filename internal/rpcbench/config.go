package rpcbench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The operations.
const (
	Ping         = "PING"
	FindNode     = "FIND_NODE"
	GetProviders = "GET_PROVIDERS"
	AddProvider  = "ADD_PROVIDER" // until the record is visible; only on a daemon started by Own
)

// Operations returns the operations in the order in which they are measured.
func Operations() []string { return []string{Ping, FindNode, GetProviders, AddProvider} }

// Config configures a measurement. Zero fields have their default.
type Config struct {
	// Operations are the operations to measure. Default: all.
	Operations []string
	// Transport is "tcp" or "quic". Default: tcp.
	Transport string
	// Peers is the number of hosts that send requests, each on one connection. Default: 4,
	// because a node limits the requests of a single peer per second.
	Peers int
	// Streams is the number of concurrent streams of all peers together. Default: 64.
	Streams int
	// Announcers is the number of hosts that announce for ADD_PROVIDER. Default: 64.
	Announcers int
	// Announcements is the number of announcements per round of ADD_PROVIDER. Default:
	// 100,000.
	Announcements int
	// Records is the number of records stored in the daemon of Own. Default: 1,000,000.
	Records int
	// Rounds is the number of rounds per operation. Each measures the limit and the
	// operation; the medians count. Default: 5.
	Rounds int
	// Window is the duration of each measurement. Default: 1 s.
	Window time.Duration
	// Dir is the data directory of the daemon of Own. It must be empty.
	Dir string
}

// Bounds of a Config.
const (
	maxPeers         = 512
	maxStreams       = 4096
	maxAnnouncements = 10_000_000
	maxRecords       = 50_000_000
)

// ErrConfig is wrapped by every violation that Validate returns.
var ErrConfig = errors.New("bad config")

func (c *Config) setDefaults() {
	if len(c.Operations) == 0 {
		c.Operations = Operations()
	}
	c.Transport = cmp.Or(c.Transport, "tcp")
	c.Peers = cmp.Or(c.Peers, 4)
	c.Streams = cmp.Or(c.Streams, 64)
	c.Announcers = cmp.Or(c.Announcers, 64)
	c.Announcements = cmp.Or(c.Announcements, 100_000)
	c.Records = cmp.Or(c.Records, 1_000_000)
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.Window = cmp.Or(c.Window, time.Second)
}

// Validate reports all fields that are out of range.
func (c Config) Validate() error {
	c.setDefaults()
	var errs []error
	within := func(name string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%w: %s %d is not from %d to %d", ErrConfig, name, v, low, high))
		}
	}
	for _, op := range c.Operations {
		if !slices.Contains(Operations(), op) {
			errs = append(errs, fmt.Errorf("%w: no operation %q; there are %v", ErrConfig, op, Operations()))
		}
	}
	if c.Transport != "tcp" && c.Transport != "quic" {
		errs = append(errs, fmt.Errorf("%w: transport %q is neither tcp nor quic", ErrConfig, c.Transport))
	}
	within("peers", c.Peers, 1, maxPeers)
	within("streams", c.Streams, c.Peers, maxStreams)
	within("announcers", c.Announcers, 1, maxPeers)
	within("announcements", c.Announcements, c.Announcers, maxAnnouncements)
	within("records", c.Records, 0, maxRecords)
	within("rounds", c.Rounds, 1, 1000)
	if c.Window < 10*time.Millisecond || c.Window > time.Hour {
		errs = append(errs, fmt.Errorf("%w: window %s is not from 10ms to 1h", ErrConfig, c.Window))
	}
	return errors.Join(errs...)
}

// Result is the result of one operation: medians of the rounds.
type Result struct {
	Operation    string  `json:"operation"`
	Transport    string  `json:"transport"`
	PerSecond    float64 `json:"per_second"`
	LimitName    string  `json:"limit"`
	Limit        float64 `json:"limit_per_second"`
	Share        float64 `json:"share"` // PerSecond/Limit, computed per round
	ShareLow     float64 `json:"share_low"`
	ShareHigh    float64 `json:"share_high"`
	CPU          float64 `json:"cpu_us"`       // processor time of both sides per operation, in microseconds
	LimitCPU     float64 `json:"limit_cpu_us"` // the same for the limit
	CPUShare     float64 `json:"cpu_share"`    // LimitCPU/CPU: the share on an otherwise idle machine
	RequestBytes int     `json:"request_bytes"`
	ReplyBytes   int     `json:"reply_bytes"` // mean
	Streams      int     `json:"streams"`
	Records      int     `json:"records,omitempty"` // stored
	Rounds       int     `json:"rounds"`
}
