package guest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// built are folders with monmod.ko, each made once for all tests: TestMain removes what is below dir.
var built = struct {
	sync.Mutex
	dir     string
	modules map[guest.Kernel]func() (string, error)
}{modules: map[guest.Kernel]func() (string, error){}}

// module returns a folder with the module for kernel k. Whoever wants it while it is built waits for it.
func module(t *testing.T, k guest.Kernel) string {
	t.Helper()
	built.Lock()
	once := built.modules[k]
	if once == nil {
		once = sync.OnceValues(func() (string, error) {
			dir := filepath.Join(built.dir, k.Name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				return "", err
			}
			return dir, guest.BuildModule(k, filepath.Join(target.Root(), "kmod"), dir)
		})
		built.modules[k] = once
	}
	built.Unlock()
	dir, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
