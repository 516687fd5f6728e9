package api

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// History has what the node measured in the last hour, at equal steps. All series have the
// same length, with the oldest value first.
type History struct {
	StepSeconds float64           `json:"step_seconds"`
	From        time.Time         `json:"from,omitzero"` // of the first values; zero: there are none yet
	Series      map[string]Series `json:"series"`        // rates are per second
}

// Series has one value for each step. NaN, in JSON null, is a value that is not known.
type Series []float64

// MarshalJSON implements json.Marshaler. Values from 1,000 on are whole, smaller ones have
// four significant digits.
func (s Series) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(s))
	for i, v := range s {
		if !math.IsNaN(v) {
			v = short(v)
			out[i] = &v
		}
	}
	return json.Marshal(out)
}

func short(v float64) float64 {
	if math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64) // cannot fail
	return v
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Series) UnmarshalJSON(data []byte) error {
	var in []*float64
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = make(Series, len(in))
	for i, v := range in {
		(*s)[i] = math.NaN()
		if v != nil {
			(*s)[i] = *v
		}
	}
	return nil
}
