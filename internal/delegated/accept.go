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

// chooseType returns the type of an answer for the values of Accept: usual, or a stream
// of records instead of JSON. It returns "" if the client accepts neither. The client
// must name the stream type to get a stream, which wins if both are wanted equally.
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

// quality returns the weight of a type (RFC 9110, 12.5.1): the q of the most specific
// range that matches it. Malformed ranges are ignored.
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

// weight parses a q: 1 if it is missing, 0 if it is malformed.
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
