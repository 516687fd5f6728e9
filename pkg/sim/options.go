package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// The models of churn.
const (
	// ChurnNone: no node arrives or leaves.
	ChurnNone = "none"
	// ChurnWeibull: every server except the bootstrap nodes has one session of Weibull
	// length, see sessionShape.
	ChurnWeibull = "weibull"
	// ChurnMixture: three quarters of the servers never leave, the others have the
	// sessions of ChurnWeibull (ProbeLab RFM17 found most of the record holders of the
	// public network that stable).
	ChurnMixture = "mixture"
)

// The models of latency.
const (
	// LatencyLogNormal draws the round-trip time of each pair of nodes once.
	LatencyLogNormal = "lognormal"
	// LatencyRegions places nodes in regions; see regionRTT.
	LatencyRegions = "regions"
)

// The ways a network starts.
const (
	// StartWarm: all nodes are up, with the tables of a network that has run for a long
	// time.
	StartWarm = "warm"
	// StartJoin: only the bootstrap nodes are up, the others join through them.
	StartJoin = "join"
)

// Options describe a run. Start with DefaultOptions; Set sets an option by its name.
type Options struct {
	Nodes    int           // servers and clients together; 1000
	Duration time.Duration // measured time, after Warmup; 1 h
	Warmup   time.Duration // before anything is measured; 10 min, one refresh interval
	Seed     uint64        // 1

	Start      string        // StartWarm
	JoinWithin time.Duration // over which the nodes of StartJoin start; 10 min
	Bootstrap  int           // bootstrap nodes, which never leave, at most all; 4
	Churn      string        // ChurnNone
	Clients    float64       // share of nodes in client mode
	Dead       float64       // share of servers that stop answering when Warmup ends
	Latency    string        // LatencyLogNormal
	Loss       float64       // share of packets lost

	Protocol Protocol
	Check    bool // test the invariants after every event
}

// Protocol has the protocol parameters that a run may change. DefaultOptions sets each to
// the default of the node.
type Protocol struct {
	K            int
	Alpha        int
	MaxAlpha     int
	RefreshAlpha int
	Beta         int
	StoreBeta    int
	SearchBeta   int
	SoftTimeout  time.Duration
	Refresh      time.Duration
	Liveness     time.Duration
	Replacements int
	Republish    time.Duration
	TTL          time.Duration // of provider records
	Snapshot     bool          // a restarted node has the snapshot of its routing table
}

// Setting is an option that can be set by its name.
type Setting struct {
	Name, Default, Help string
	field
}

// field reads and writes one option as text.
type field struct {
	set func(o *Options, value string) error
	get func(o *Options) string
}

// settings are all options by name, as flags and scenarios know them.
var settings = []Setting{
	{"nodes", "1000", "`number` of nodes, clients included", intOption(func(o *Options) *int { return &o.Nodes }, 2, 1<<20)},
	{"hours", "1", "simulated `hours` that are measured", hoursOption(func(o *Options) *time.Duration { return &o.Duration })},
	{"warmup", "10m", "simulated `time` before measuring starts", durationOption(func(o *Options) *time.Duration { return &o.Warmup })},
	{"seed", "1", "`number` that a run depends on: the same seed gives the same run", seedOption()},
	{"start", StartWarm, "`way` the network starts: warm, with the tables of a network that has run for a long time, or join", choiceOption(func(o *Options) *string { return &o.Start }, StartWarm, StartJoin)},
	{"join-within", "10m", "`time` over which nodes join", durationOption(func(o *Options) *time.Duration { return &o.JoinWithin })},
	{"bootstrap", "4", "`number` of bootstrap nodes, which never leave", intOption(func(o *Options) *int { return &o.Bootstrap }, 1, 1000)},
	{"churn", ChurnNone, "`model` of churn: none, weibull, mixture", choiceOption(func(o *Options) *string { return &o.Churn }, ChurnNone, ChurnWeibull, ChurnMixture)},
	{"clients", "0", "`share` of nodes in client mode", shareOption(func(o *Options) *float64 { return &o.Clients })},
	{"dead", "0", "`share` of servers that stop answering after the warmup", shareOption(func(o *Options) *float64 { return &o.Dead })},
	{"latency", LatencyLogNormal, "`model` of round-trip times: lognormal, regions", choiceOption(func(o *Options) *string { return &o.Latency }, LatencyLogNormal, LatencyRegions)},
	{"loss", "0", "`share` of packets lost", shareOption(func(o *Options) *float64 { return &o.Loss })},
	{"check", "false", "test the invariants after every event (`bool`)", boolOption(func(o *Options) *bool { return &o.Check })},

	{"k", strconv.Itoa(dht.Replicas), "`number` of peers in a bucket, and of replicas", intOption(func(o *Options) *int { return &o.Protocol.K }, 1, 100)},
	{"alpha", strconv.Itoa(dht.Alpha), "`number` of peers that a lookup asks at once", intOption(func(o *Options) *int { return &o.Protocol.Alpha }, 1, 100)},
	{"max-alpha", strconv.Itoa(dht.MaxAlpha), "largest `number` that alpha grows to when a lookup stalls", intOption(func(o *Options) *int { return &o.Protocol.MaxAlpha }, 1, 100)},
	{"refresh-alpha", strconv.Itoa(dht.RefreshAlpha), "`number` of peers that the refresh of a bucket asks at once", intOption(func(o *Options) *int { return &o.Protocol.RefreshAlpha }, 1, 100)},
	{"beta", strconv.Itoa(dht.Beta), "`number` of nearest peers that must answer to end a finding lookup", intOption(func(o *Options) *int { return &o.Protocol.Beta }, 1, 100)},
	{"store-beta", strconv.Itoa(dht.Replicas), "`number` of nearest peers that must answer to end a storing lookup", intOption(func(o *Options) *int { return &o.Protocol.StoreBeta }, 1, 100)},
	{"search-beta", strconv.Itoa(dht.Replicas), "`number` of nearest peers that must answer to end a search that has found no record", intOption(func(o *Options) *int { return &o.Protocol.SearchBeta }, 1, 100)},
	{"soft-timeout", span(dht.SoftTimeout), "`time` after which a request gives its place to another", durationOption(func(o *Options) *time.Duration { return &o.Protocol.SoftTimeout })},
	{"refresh", span(dht.RefreshInterval), "`time` between refreshes of a bucket", durationOption(func(o *Options) *time.Duration { return &o.Protocol.Refresh })},
	{"liveness", span(dht.LivenessInterval), "`time` a peer may be silent before it is probed", durationOption(func(o *Options) *time.Duration { return &o.Protocol.Liveness })},
	{"replacements", "10", "`number` of spare peers of a full bucket", intOption(func(o *Options) *int { return &o.Protocol.Replacements }, 1, 100)},
	{"republish", span(republish.Interval), "`time` between publications of a key", durationOption(func(o *Options) *time.Duration { return &o.Protocol.Republish })},
	{"ttl", span(records.MaxTTL), "`lifetime` of provider records", durationOption(func(o *Options) *time.Duration { return &o.Protocol.TTL })},
	{"snapshot", "true", "restarted nodes load the snapshot of their routing table (`bool`)", boolOption(func(o *Options) *bool { return &o.Protocol.Snapshot })},
}

// Settings lists the options by name.
func Settings() []Setting { return settings }

// ErrOption is returned for an unknown option or a bad value.
var ErrOption = errors.New("bad option")

// Set gives the named option a value.
func (o *Options) Set(name, value string) error {
	for i := range settings {
		if settings[i].Name != name {
			continue
		}
		if err := settings[i].set(o, value); err != nil {
			return fmt.Errorf("%w: %s %q: %w", ErrOption, name, value, err)
		}
		return nil
	}
	return fmt.Errorf("%w: there is no %q", ErrOption, name)
}

// DefaultOptions returns the options with every default.
func DefaultOptions() Options {
	var o Options
	for i := range settings {
		if err := settings[i].set(&o, settings[i].Default); err != nil {
			panic("sim: default of " + settings[i].Name + ": " + err.Error())
		}
	}
	return o
}

// values lists all options.
func (o *Options) values() []OptionValue {
	out := make([]OptionValue, len(settings))
	for i := range settings {
		out[i] = OptionValue{settings[i].Name, settings[i].get(o)}
	}
	return out
}

// String lists the options that differ from their defaults, as flags.
func (o *Options) String() string {
	var b strings.Builder
	for i := range settings {
		if v := settings[i].get(o); v != settings[i].Default {
			fmt.Fprintf(&b, " --%s %s", settings[i].Name, v)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

func intOption(at func(*Options) *int, low, high int) field {
	return field{
		set: func(o *Options, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < low || n > high {
				return fmt.Errorf("want a number from %d to %d", low, high)
			}
			*at(o) = n
			return nil
		},
		get: func(o *Options) string { return strconv.Itoa(*at(o)) },
	}
}

func durationOption(at func(*Options) *time.Duration) field {
	return field{
		set: func(o *Options, value string) error {
			d, err := parseTime(value)
			if err == nil {
				*at(o) = d
			}
			return err
		},
		get: func(o *Options) string { return span(*at(o)) },
	}
}

// longest is the longest time that an option or a scenario may name: a year. The sum of
// several cannot overflow a time.Duration.
const longest = 366 * 24 * time.Hour

// parseTime reads a time of an option or a scenario.
func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longest {
		return 0, errors.New("want a time such as 90s or 22h, at most a year")
	}
	return d, nil
}

// span writes a duration without zero minutes and seconds: 22h, not 22h0m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func hoursOption(at func(*Options) *time.Duration) field {
	return field{
		set: func(o *Options, value string) error {
			h, err := strconv.ParseFloat(value, 64)
			if err != nil || !(h >= time.Second.Hours() && h <= longest.Hours()) { // rejects NaN too
				return errors.New("want a number of hours, at least a second, at most a year")
			}
			*at(o) = time.Duration(h * float64(time.Hour)).Round(time.Second)
			return nil
		},
		// Four decimals are enough to distinguish seconds.
		get: func(o *Options) string { return strconv.FormatFloat(math.Round(at(o).Hours()*1e4)/1e4, 'f', -1, 64) },
	}
}

func shareOption(at func(*Options) *float64) field {
	return field{
		set: func(o *Options, value string) error {
			p, err := strconv.ParseFloat(value, 64)
			if err != nil || !(p >= 0 && p < 1) { // rejects NaN too
				return errors.New("want a share from 0 to below 1")
			}
			*at(o) = p
			return nil
		},
		get: func(o *Options) string { return strconv.FormatFloat(*at(o), 'g', -1, 64) },
	}
}

func boolOption(at func(*Options) *bool) field {
	return field{
		set: func(o *Options, value string) error {
			b, err := strconv.ParseBool(value)
			if err != nil {
				return errors.New("want true or false")
			}
			*at(o) = b
			return nil
		},
		get: func(o *Options) string { return strconv.FormatBool(*at(o)) },
	}
}

func choiceOption(at func(*Options) *string, choices ...string) field {
	return field{
		set: func(o *Options, value string) error {
			if !slices.Contains(choices, value) {
				return fmt.Errorf("want one of %q", choices)
			}
			*at(o) = value
			return nil
		},
		get: func(o *Options) string { return *at(o) },
	}
}

func seedOption() field {
	return field{
		set: func(o *Options, value string) error {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return errors.New("want a whole number of 0 or more")
			}
			o.Seed = n
			return nil
		},
		get: func(o *Options) string { return strconv.FormatUint(o.Seed, 10) },
	}
}
