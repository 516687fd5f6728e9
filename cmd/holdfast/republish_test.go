package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func TestPrintRepublish(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		s    api.RepublishStatus
		want []string
	}{
		"nothing":     {api.RepublishStatus{}, []string{"Fewest holders:  -"}},
		"restarted":   {api.RepublishStatus{Keys: 2}, []string{"Fewest holders:  not known: no key was published since the start"}},
		"some tried":  {api.RepublishStatus{Keys: 9, Holders: api.Holders{Keys: 7, Fewest: 3, FewestKeys: 2}}, []string{"Fewest holders:  3 (2 of 7 keys), 2 not published since the start"}},
		"all tried":   {api.RepublishStatus{Keys: 9, Holders: api.Holders{Keys: 9, FewestKeys: 1}}, []string{"Fewest holders:  0 (1 of 9 keys)"}},
		"failed ones": {api.RepublishStatus{LastErrors: []api.PublishError{{Key: "k", Kind: "value", At: at, Problem: "only 1 of 3 peers took it"}}}, []string{"Not published when last tried:\nTRIED", "value  k    only 1 of 3 peers took it"}},
		"ended ones": {
			api.RepublishStatus{EndedTotal: 12, Ended: []api.PublishEnd{{Key: "k", Kind: "value", At: at, Reason: "the record was valid until then"}}},
			[]string{"No longer published, 12 since the start:\nENDED", "value  k    the record was valid until then"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			a := &app{out: &out}
			require.NoError(t, (&republishStatusCommand{app: a}).print(&c.s))
			for _, w := range c.want {
				require.Contains(t, out.String(), w)
			}
		})
	}
}
