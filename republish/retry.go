package republish

import "time"

// Defaults of Config.RetryMin and RetryMax.
const (
	retryMin = time.Minute
	retryMax = time.Hour
)

// pause returns the pause after a failure that followed `before` failures in a row.
func (s *Schedule) pause(before uint8) time.Duration {
	d := s.cfg.RetryMin
	for ; before > 0 && d < s.cfg.RetryMax; before-- {
		d *= 2
	}
	return min(d, s.cfg.RetryMax)
}
