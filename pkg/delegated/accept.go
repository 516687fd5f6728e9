package delegated

import (
	"mime"
	"strconv"
	"strings"
)

// The media types of answers.
const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeIPNS   = "application/vnd.ipfs.ipns-record"
)

// chooseType returns the type of an answer for the values of Accept, "" if none is
// wanted: usual, or records as a stream in place of JSON. A stream must be asked for
// by name, and is taken if both are wanted as much.
func chooseType(accept []string, usual string) string {
	if strings.TrimSpace(strings.Join(accept, "")) == "" {
		return usual
	}
	ranges := strings.Split(strings.Join(accept, ","), ",")
	want := quality(ranges, usual, true)
	if usual == typeJSON {
		if q := quality(ranges, typeNDJSON, false); q > 0 && q >= want {
			return typeNDJSON
		}
	}
	if want == 0 {
		return ""
	}
	return usual
}

// quality is how much a type is wanted (RFC 9110, 12.5.1): the q of the range that
// names it most closely. Ranges that cannot be read count for nothing.
func quality(ranges []string, kind string, wild bool) (q float64) {
	closest := 0
	major, _, _ := strings.Cut(kind, "/")
	for _, text := range ranges {
		name, params, err := mime.ParseMediaType(text)
		if err != nil {
			continue
		}
		near := 0
		switch {
		case name == kind:
			near = 3
		case wild && name == major+"/*":
			near = 2
		case wild && name == "*/*":
			near = 1
		}
		if near > closest {
			closest, q = near, weight(params["q"])
		}
	}
	return q
}

// weight reads a q: 1 without one, 0 if it is none.
func weight(text string) float64 {
	if text == "" {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
