package guest

// Tool unpacks a package of Debian's that must not be installed for good, since it acts on the system at every change of its
// kernels, and returns the folder.
func Tool(name string) (string, error) {
	return cached("tool-"+name, func(dir string) error { return apt{}.unpack(dir, []string{name}) })
}
