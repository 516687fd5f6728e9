package daemon

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

// meters connects the parts of a daemon to its metrics.
type meters struct{}

func newMeters() *meters { return &meters{} }

func (m *meters) registerer() prometheus.Registerer { return nil }
func (m *meters) handler() http.Handler             { return nil }
func (m *meters) observe(*node.Config)              {}
func (m *meters) watch(*Daemon)                     {}
func (m *meters) reloaded(error)                    {}
