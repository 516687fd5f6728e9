package verdict

import (
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

func count(n int, what string) string {
	return humanize.Comma(int64(n)) + " " + english.PluralWord(n, what, "")
}

// answer returns "1 peer answers", "2 peers answer".
func answer(n int) string { return count(n, "peer") + english.PluralWord(n, " answers", " answer") }

// requests returns a rate in words; perSecond is in requests a second.
func requests(perSecond float64) string {
	perMinute := 60 * perSecond
	switch {
	case !(perSecond > 0): // no request, or unknown
		return "no requests"
	case perMinute < 0.95:
		return "less than 1 request a minute"
	case perMinute < 59.5:
		return count(int(math.Round(perMinute)), "request") + " a minute"
	case perSecond < 9.95:
		return fmt.Sprintf("%.1f requests a second", perSecond)
	}
	return count(int(math.Round(perSecond)), "request") + " a second"
}

func bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// span formats a duration in one or two units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return twoUnits(int(d/time.Hour), "h", int(d%time.Hour/time.Minute), "min")
	}
	return twoUnits(int(d/day), "d", int(d%day/time.Hour), "h")
}

func twoUnits(n int, unit string, rest int, smaller string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, rest, smaller)
}
