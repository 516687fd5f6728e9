package records

// Quota is a bound on what others may have stored here. At the bound what is new is
// refused or cut; what is stored stays, and may be renewed and removed.
type Quota uint8

// The quotas.
const (
	QuotaBytes              Quota = iota // room on the disk
	QuotaProviders                       // distinct peers that provider records name
	QuotaRecordsPerProvider              // provider records that name one peer
	QuotaProvidersPerKey                 // live providers of one key
	QuotaAddrsPerProvider                // addresses of a provider; those beyond are left out
	QuotaValueBytes                      // size of a value

	NumQuotas = int(QuotaValueBytes) + 1
)

var quotaNames = [NumQuotas]string{
	"bytes", "providers", "records_per_provider", "providers_per_key", "addresses_per_provider", "value_bytes",
}

// String returns the quota's name, as metrics label it.
func (q Quota) String() string { return quotaNames[q] }
