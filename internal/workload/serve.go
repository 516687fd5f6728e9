package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// The requests of Compare other than steps.
const (
	askOpen = "open" // open the store and answer one lookup
	askLoad = "load" // add records until killed
)

// request is a line that Compare sends to a process.
type request struct {
	Step   string `json:"step"`
	Config Config `json:"config"`
	Dir    string `json:"dir"`
	State  state  `json:"state"`
}

// reply is the line that the process sends back.
type reply struct {
	Figures []Figure `json:"figures"`
	State   state    `json:"state"`
	Error   string   `json:"error,omitempty"`
}

// Open opens the store in an existing directory.
type Open func(dir string) (Store, error)

// Serve opens a store with open and executes the requests of Compare on in, until in ends. A
// Target's command calls it.
func Serve(in io.Reader, out io.Writer, open Open) (err error) {
	var b *bench
	defer func() {
		if b != nil {
			err = errors.Join(err, b.store.Close())
		}
	}()
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var req request
		if err := requests.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var figures []Figure
		var stepErr error
		if req.Step == askOpen {
			b, figures, stepErr = openBench(&req, open)
		} else {
			figures, stepErr = b.step(req.Step)
		}
		r := reply{Figures: figures, State: req.State}
		if b != nil {
			r.State = b.state
		}
		if stepErr != nil {
			r.Error = stepErr.Error()
		}
		if err := replies.Encode(&r); err != nil {
			return err
		}
	}
}

// openBench opens the store and, after the fill, looks up one record.
func openBench(req *request, open Open) (*bench, []Figure, error) {
	begin := time.Now()
	s, err := open(req.Dir)
	if err != nil {
		return nil, nil, err
	}
	b := newBench(req.Config, req.State, req.Dir, s)
	if b.Next >= b.data.fill {
		i := b.known(rand.New(rand.NewPCG(b.cfg.Seed, 4)))
		n, err := s.Lookup(b.Now, b.data.appendKey(nil, i))
		if err != nil || n == 0 {
			return b, nil, fmt.Errorf("%d providers of record %d after opening: %w", n, i, err)
		}
	}
	took := time.Since(begin)
	return b, []Figure{
		less("to first answer", "ms", took.Seconds()*1e3),
		less("memory", "MiB", float64(settled())/(1<<20)),
	}, nil
}

// step runs one step.
func (b *bench) step(name string) ([]Figure, error) {
	if b == nil {
		return nil, errors.New("no store is open")
	}
	if name == askLoad {
		go func() {
			for b.store.Add(b.Now, b.fresh(1000)) == nil {
			}
		}()
		return nil, nil
	}
	for _, s := range steps {
		if s.name == name && s.run != nil {
			return s.run(b)
		}
	}
	return nil, fmt.Errorf("no step %q", name)
}
