package config

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
)

// promises returns each key with its environment variable, the kind of value it takes and
// whether a reload applies it.
func promises() (all []string) {
	for _, k := range Keys() {
		applied := "restart"
		if k.Reload {
			applied = "reload"
		}
		all = append(all, fmt.Sprintf("%s; %s; %s; %s", k.Path(), cmp.Or(k.Env(), "no variable"), takes(k), applied))
	}
	return all
}

// A changed line of the list breaks the configuration of a user.
func TestPromisedKeys(t *testing.T) {
	promisetest.Check(t, "testdata/keys.txt", promises())
}
