package config

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as text: "22h", "1m30s".
type Duration struct{ time.Duration }

// UnmarshalText accepts what time.ParseDuration accepts.
func (d *Duration) UnmarshalText(text []byte) error { return orNil(d.parse(string(text))) }

func (d *Duration) parse(text string) *ValueError {
	v, err := time.ParseDuration(text)
	if err != nil && IsTooLong(text) {
		return &ValueError{text, "is too long", "the longest duration is " + LongestDuration}
	}
	if err != nil {
		return &ValueError{text, "is not a duration", `write for instance "22h", "10m" or "90s"`}
	}
	d.Duration = v
	return nil
}

// LongestDuration is the longest duration that a setting or a flag may have, in whole hours.
const LongestDuration = "2562047h"

var durationForm = regexp.MustCompile(`^[-+]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`)

// IsTooLong reports whether a text that time.ParseDuration refuses is a duration that is too
// long.
func IsTooLong(text string) bool { return durationForm.MatchString(text) }

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the duration without units that are zero: "22h", not "22h0m0s".
func (d Duration) String() string {
	s := d.Duration.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes that is written as text: "512MiB".
type Size int64

// Units of Size.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// units has each suffix before the shorter suffixes that it ends in.
var units = []struct {
	suffix string
	bytes  Size
}{
	{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}, {"TiB", TiB},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText parses a whole number and a unit: "512MiB", "1GB", "4096".
func (s *Size) UnmarshalText(text []byte) error { return orNil(s.parse(string(text))) }

func (s *Size) parse(text string) *ValueError {
	number, factor := strings.TrimSpace(text), Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(factor) {
		return &ValueError{text, "is not a size", `write for instance "512MiB", "10KiB" or a number of bytes`}
	}
	*s = Size(n) * factor
	return nil
}

// MarshalText writes the size in its largest binary unit that is exact.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the size in its largest binary unit that is exact.
func (s Size) String() string {
	for _, u := range []int{3, 2, 1, 0} {
		if s != 0 && s%units[u].bytes == 0 {
			return strconv.FormatInt(int64(s/units[u].bytes), 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
