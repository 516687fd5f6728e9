package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/pflag"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// answerGrace is how long an interrupted command waits for the answer to its last
// request.
const answerGrace = 5 * time.Second

// keyFlags are the flags of commands on the keys of a file.
type keyFlags struct {
	file string
	skip bool // lines that are not keys
}

func (k *keyFlags) add(f *pflag.FlagSet) {
	f.StringVar(&k.file, "file", "", "`file` with one key a line")
	f.BoolVar(&k.skip, "skip-invalid", false, "ignore lines of the file that are not keys")
}

// check rejects flags and arguments that exclude each other.
func (k *keyFlags) check(args []string) error {
	switch {
	case (k.file == "") == (len(args) == 0):
		return usagef("give either KEY... or --file FILE")
	case k.skip && k.file == "":
		return usagef("--skip-invalid needs --file")
	}
	return nil
}

// run calls all with the keys of the file, or each with one argument after the other.
func (k *keyFlags) run(ctx context.Context, a *app, args []string, all func(*bulk, context.Context, api.Backend) error,
	each func(ctx context.Context, b api.Backend, text string, key []byte) error) error {
	if err := k.check(args); err != nil {
		return err
	}
	if k.file != "" {
		f, err := k.bulk(ctx, a)
		if err != nil {
			return err
		}
		return a.ask(ctx, func(ctx context.Context, b api.Backend) error { return all(f, ctx, b) })
	}
	keys, err := parseContentKeys(args)
	if err != nil {
		return err
	}
	return a.ask(ctx, func(ctx context.Context, b api.Backend) error {
		for i, key := range keys {
			if err := each(ctx, b, args[i], key); err != nil {
				return asWritten(err, args[i])
			}
		}
		return nil
	})
}

// bulk reads the file.
func (k *keyFlags) bulk(ctx context.Context, a *app) (*bulk, error) {
	var f *keyFile
	err := untilInterrupted(ctx, func() (err error) {
		f, err = k.read(a.in, a.errs)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &bulk{app: a, file: k.file, keys: f.keys}, nil
}

// bulk is a command on the keys of a file.
type bulk struct {
	*app
	file string // as on the command line
	keys [][]byte
}

// provide hands the keys over to the daemon and shows the progress of announcing them.
func (k *bulk) provide(ctx context.Context, b api.Backend) error {
	h, err := k.handOver(ctx, b)
	if err != nil {
		switch done := h.New + h.Known; {
		case done > 0:
			k.note("%d of %s are handed over: %s; give the file again to hand over the rest", done, counted(len(k.keys), "key"), k.stay())
		case ctx.Err() != nil && !k.alone():
			k.note("the daemon did not confirm that it stored the keys; `holdfast unprovide --file %s` unprovides them", k.file)
		}
		return err
	}
	s, err := k.watchAnnounced(ctx, b)
	if err != nil {
		k.note("%s handed over: %s", areKeys(len(k.keys)), k.stay())
		return err
	}
	return k.provided(h, &s)
}

// stay returns what happens to keys that have been handed over.
func (k *bulk) stay() string {
	if k.alone() {
		return "those that are announced stay at the peers until they expire, the others end with this command"
	}
	return fmt.Sprintf("the daemon keeps them and continues to announce them; `holdfast unprovide --file %s` unprovides them", k.file)
}

// handOver sends the keys to the daemon, which has stored them on disk when it answers.
func (k *bulk) handOver(ctx context.Context, b api.Backend) (all api.HandedOver, err error) {
	err = k.each(ctx, "handed over", func(ctx context.Context, part [][]byte) error {
		h, err := b.ProvideLater(ctx, part)
		all.New, all.Known = all.New+h.New, all.Known+h.Known
		return err
	})
	return all, err
}

// each makes one request after the other, with as many keys as a request may have. If ctx
// ends, it still waits for the answer to the last request, so that it knows what was
// done.
func (k *bulk) each(ctx context.Context, what string, request func(ctx context.Context, part [][]byte) error) error {
	p := k.counted(what, len(k.keys))
	defer p.end()
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(answerGrace, cancel) })()
	done := 0
	for part := range slices.Chunk(k.keys, api.MaxKeys) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := request(lasting, part); err != nil {
			if lasting.Err() != nil {
				return ctx.Err() // the cause of the end
			}
			return err
		}
		done += len(part)
		p.at(int64(done))
	}
	return nil
}

// watchAnnounced shows how many keys the daemon has announced. It ends when each key has
// been tried, or when the daemon has no peers.
func (k *bulk) watchAnnounced(ctx context.Context, b api.Backend) (s api.RepublishStatus, err error) {
	if s, err = b.RepublishStatus(ctx); err != nil {
		return s, err
	}
	most := s.Unannounced
	p := k.counted("announced", most)
	defer p.end()
	for s.Unannounced > 0 && busy(&s) {
		if s, err = laterStatus(ctx, b); err != nil {
			return s, err
		}
		most = max(most, s.Unannounced) // another command may hand over keys too
		p.set("announced", int64(most-s.Unannounced), int64(most))
	}
	return s, nil
}

// provided prints the result.
func (k *bulk) provided(h api.HandedOver, s *api.RepublishStatus) error {
	if k.alone() && s.Unannounced > 0 {
		return api.Errorf(api.CodeNoPeers, "%s not announced: too few peers took them", areKeys(s.Unannounced))
	}
	if k.json {
		return k.printJSON(struct {
			Keys        int `json:"keys"`
			New         int `json:"new"`
			Known       int `json:"known"`
			Unannounced int `json:"unannounced"`
		}{len(k.keys), h.New, h.Known, s.Unannounced})
	}
	text := fmt.Sprintf("Provided %s", counted(len(k.keys), "key"))
	if h.Known > 0 {
		text += fmt.Sprintf(", of which %d %s provided before", h.Known, english.PluralWord(h.Known, "was", "were"))
	}
	if err := k.printf("%s\n", text); err != nil {
		return err
	}
	if s.Unannounced == 0 {
		return nil
	}
	keys, verb := counted(s.Unannounced, "key"), english.PluralWord(s.Unannounced, "is", "are")
	if s.VerifiedPeers == 0 {
		return k.printf("%s of this node %s not announced yet because no peer answers; the daemon announces them when one does\n", keys, verb)
	}
	return k.printf("%s of this node %s not announced yet: the daemon continues, see `holdfast republish status`\n", keys, verb)
}

// unprovide removes the keys from the daemon.
func (k *bulk) unprovide(ctx context.Context, b api.Backend) error {
	removed := 0
	err := k.each(ctx, "unprovided", func(ctx context.Context, part [][]byte) error {
		r, err := b.UnprovideAll(ctx, part)
		removed += r.Keys
		return err
	})
	unknown := len(k.keys) - removed
	switch {
	case err != nil:
		if removed > 0 {
			k.note("%s unprovided; give the file again to unprovide the rest", areKeys(removed))
		}
		return err
	case removed == 0:
		return api.Errorf(api.CodeNotFound, "none of %s is provided; `holdfast provides` lists those that are", counted(len(k.keys), "key"))
	case k.json:
		return k.printUnprovided(removed, unknown)
	case unknown > 0:
		return k.printf("Unprovided %s; %d more %s not provided\n", counted(removed, "key"), unknown, english.PluralWord(unknown, "was", "were"))
	}
	return k.printf("Unprovided %s\n", counted(removed, "key"))
}

// areKeys returns a number of keys with its verb.
func areKeys(n int) string {
	if n == 1 {
		return "1 key is"
	}
	return counted(n, "key") + " are"
}
