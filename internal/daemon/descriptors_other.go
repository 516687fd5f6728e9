//go:build !unix

package daemon

func descriptors() int { return fallbackDescriptors }
