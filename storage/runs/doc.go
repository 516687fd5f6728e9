// Package runs stores provider records, which say which peer provides a key and until when,
// as sorted runs in two bbolt files.
//
// What it guarantees:
//
//   - A durable write that returned nil survives a crash at any instant, and every other
//     write does so after the commit window.
//   - An expired record is never served.
//   - Removing expired records does not cost anything for the records that stay.
//   - Counters are correct after any crash, without a scan.
//   - Readers never wait for maintenance, and writers only while maxTables tables are full.
//   - Every size has a bound. At the bound, new records are refused, and known ones can still
//     be republished.
//   - After a failed fsync, no more writes are acknowledged.
//
// What it refuses: files in use (ErrLocked), files of another version (ErrSchema), and files
// of another program or of two different stores (ErrForeign). Damage is reported (ErrCorrupt)
// and never causes a crash. The caller decides how to handle it; see Salvage.
//
// # Why not rows in a tree
//
// Record keys are hashes. A B+tree therefore rewrites a 4 KiB page for a record of 24 bytes,
// and removing expired records rewrites all of it. Here, a record is appended to a log,
// sorted once in memory, and merged a few times with other records that expire in the same
// three hours. These are then dropped together. A lookup uses a filter of one byte per record
// to decide which runs to read.
//
// # Layout
//
// The log contains the newest records and everything small:
//
//	meta            schema, store id; state: counters by epoch, see type state
//	ids             peer ID -> provider number, never reused
//	peers           provider number -> peer ID, addresses and their expiry
//	counts          provider number -> its records by epoch, as of some commit
//	last            epoch of a provider's newest record | provider number
//	L<generation>   chunks of entries in the order of commits
//
// The runs:
//
//	meta            schema, store id, last generation in runs, next run, hash seed
//	runs            run -> epoch, newest expiry, segments
//	R<run>          last record of a block -> block: up to 83 records
//	F<run>          segment | part -> filter
//
// A record is stored under the first 16 bytes of SHA-256(wire key). So it has 24 bytes
// whatever the key, and lookups supply the whole key anyway. Two keys that agree in 128 bits
// would share their providers, but a peer can achieve the same more cheaply by announcing
// itself for both keys.
//
// An epoch covers three hours of expiry times. Its records are in tables, one per generation
// of the log, and in runs. A republished record with a later expiry is stored like any other.
// The older copy is not touched and is dropped with its epoch, so a record that is
// republished every 22 hours is stored 2.2 times. A shorter lifetime never replaces a longer
// one, so the newest copy is the one that expires last. A record that was stored while the
// clock was ahead (records.Live) is not served. It is replaced when its provider republishes
// it.
//
// # Who owns what
//
// The committer is the only goroutine that writes the log. It takes all queued writes, looks
// up what is known about their records, applies the quotas, appends the records, and after
// the commit makes them visible to readers and answers the callers. The builder is the only
// goroutine that writes the runs. It writes out tables, merges runs and frees pages, one task
// at a time, in transactions of about ten milliseconds. Readers take a view, the tables and
// runs as of one instant, from an atomic pointer. They read tables without locks, and runs in
// a bbolt read transaction. If a run of their view has been deleted meanwhile, they retry
// with the next view.
//
// # Why a crash loses nothing
//
// bbolt's commit is atomic: pages, fsync, meta page, fsync. This has the following
// consequences.
//
// A record is acknowledged, and visible, after the commit of the log that contains its entry.
// That commit also contains the number of the provider, if it is new, and the state. So after
// a crash, the log names only providers that it knows, and its counters agree with its
// entries.
//
// A table is rebuilt from its generation. The transaction that writes its runs also marks the
// generation as flushed. Before it, the runs do not exist; after it, the generation is not
// read again. Only then is the generation deleted, and not before the counts of the providers
// it names are stored. A count includes the number of the commit up to which it is valid.
// Open counts the rest from the log.
//
// A merge writes segments into a run to which nothing refers. Its last transaction adds the
// row of that run and deletes the inputs. If a crash leaves an unfinished merge, its output
// has no row, and the next open removes it.
//
// An epoch is dropped by the commit of the log that removes it from the state. From then on
// its runs are garbage, whether or not their pages have been freed. Epochs have ids in
// addition to their numbers, because after a jump of the clock an epoch with the same number
// may be created again.
//
// A removal is an entry of the log and hides older copies from readers. Before its table is
// dropped from memory, the copies in runs are marked as removed. Marking them twice is
// harmless.
//
// The two files can differ in one direction only: the runs may already contain records that
// the log has not deleted yet, or lack records that the log no longer counts. A copy of both
// is therefore consistent if the log's transaction begins first; see Snapshot.
//
// If a commit fails because there is no space, the previous state remains in effect, in
// memory and in the file. Any other error ends all writing (ErrFailed): after a failed fsync
// the content of the file is unknown, and the kernel does not report the failure again.
//
// # The files' size
//
// Every leaf is exactly one page. So any free page can be reused for anything, and the files
// stop growing once records begin to expire. Lists of free pages, which need many contiguous
// pages, are written at a clean close only. After a crash, bbolt finds the free pages by
// walking the file; see Options.Verify.
package runs
