package statuspage

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// fillStrings sets every string within v to the path of its field, in brackets, and gives each
// slice and map one element.
func fillStrings(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("[" + path + "]")
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fillStrings(v.Field(i), path+"."+f.Name)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillStrings(v.Index(0), path)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillStrings(key, path)
		fillStrings(value, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}

// Under a host name the answer has these texts and no other: none of them can name a peer,
// an address, a key or a path. A new field with text is masked, or is added here.
func TestTextsUnderAHostName(t *testing.T) {
	var o api.Overview
	fillStrings(reflect.ValueOf(&o).Elem(), "o")
	body, err := json.Marshal(mask(o))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`\[o\.([A-Za-z.]+)\]`).FindAllSubmatch(body, -1) {
		found[string(m[1])] = true
	}
	require.Equal(t, []string{
		"Config.RestartNeeded",
		"Failures.In", "Failures.Out", "History.Series", "Identity.Agent", "Identity.Protocol",
		"Latency.In", "Latency.Lookups", "Latency.Out",
		"Limits.Label", "Limits.Level", "Limits.Name", "Limits.Note", "Limits.Unit",
		"Status.Mode", "Status.Reachability", "Status.Refused", "Status.State",
		"Status.Verdict.Cause.Level", "Status.Verdict.Cause.Runbook", "Status.Verdict.Cause.Why", "Status.Verdict.Cause.Word",
		"Status.Verdict.Causes.Level", "Status.Verdict.Causes.Runbook", "Status.Verdict.Causes.Why", "Status.Verdict.Causes.Word", "Status.Version",
		"Traffic.In", "Traffic.Lookups", "Traffic.Out",
		"Verdict.Cause.Level", "Verdict.Cause.Runbook", "Verdict.Cause.Why", "Verdict.Cause.Word",
		"Verdict.Causes.Level", "Verdict.Causes.Runbook", "Verdict.Causes.Why", "Verdict.Causes.Word",
	}, slices.Sorted(maps.Keys(found)))
}
