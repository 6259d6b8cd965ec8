package chaos

import (
	"os"
	"testing"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// program is what all tests of this package start.
var program rig.Program

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, func(p rig.Program) { program = p }))
}
