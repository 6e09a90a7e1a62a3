package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Java keeps certificates in stores of its own. Its tool takes a second, so it runs in the background, one at a time.

const (
	javaAlias    = "warren"
	javaPassword = "changeit" // what every JDK is delivered with
)

type javaStores struct{ running sync.Mutex }

func (j *javaStores) add(root, certificates string) {
	tool, stores := keytool(root)
	if tool == "" || len(stores) == 0 {
		return
	}
	go func() {
		j.running.Lock()
		defer j.running.Unlock()
		for _, store := range stores {
			common := []string{"-noprompt", "-keystore", store, "-storepass", javaPassword, "-alias", javaAlias}
			_ = exec.Command(tool, append([]string{"-delete"}, common...)...).Run()
			_ = exec.Command(tool, append([]string{"-importcert", "-trustcacerts", "-file", certificates}, common...)...).Run()
		}
	}()
}

// keytool finds the tool and the stores that are there.
func keytool(root string) (tool string, stores []string) {
	homes := []string{os.Getenv("JAVA_HOME")}
	found, _ := filepath.Glob(root + "/usr/lib/jvm/*")
	candidates := []string{root + "/etc/ssl/certs/java/cacerts"}
	tools := []string{root + "/usr/bin/keytool"}
	for _, home := range append(homes, found...) {
		if home != "" {
			candidates = append(candidates, home+"/lib/security/cacerts")
			tools = append(tools, home+"/bin/keytool")
		}
	}
	seen := map[string]bool{}
	for _, candidate := range candidates {
		real, err := filepath.EvalSymlinks(candidate)
		if err == nil && !seen[real] {
			seen[real] = true
			stores = append(stores, real)
		}
	}
	for _, candidate := range tools {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, stores
		}
	}
	return "", nil
}
