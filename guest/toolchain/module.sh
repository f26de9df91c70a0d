# How a guest module is built from its objects, and compared with what everybody else's build gave. Sourced, not run.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# --- used by parts/module-*: both run in the part's folder ---

# Compiles the C of guest/process and the Lua of lua/process; further arguments are compiler flags.
compile_process() {
  local sysroot lua sqlite source
  sysroot=$(part sysroot) lua=$(part lua) sqlite=$(part sqlite)
  mkdir -p work
  "$guest/toolchain/embed_lua" "$root/lua/process" >work/embedded_lua.c
  "$sysroot/bin/w64cc" -std=c23 -O2 --embed-dir="$root/lua/process" -c work/embedded_lua.c -o work/embedded_lua.o
  for source in "$guest"/process/{*,guest_only/*}.c; do
    "$sysroot/bin/w64cc" -std=c17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -ffile-prefix-map="$root"/= \
      -I"$lua/include" -isystem "$sqlite/include" -I"$guest/process" "$@" -c "$source" -o "work/$(basename "$source" .c).o"
  done
}

# A reactor: _initialize once, then handle for every message. The stack lies below the data, so that an overflow runs
# into the end of memory and traps. A declared maximum lets the engine reserve the memory and leave checks out.
link_module() { # file, bytes of stack, bytes of memory at most, driver, objects and libraries...
  local file=$1 stack=$2 memory=$3 driver=$4
  shift 4
  "$(part sysroot)/bin/$driver" -mexec-model=reactor "$@" -o "$file" \
    -Wl,--export=malloc -Wl,--export=free -Wl,--export=handle \
    -Wl,--stack-first -Wl,-z,stack-size="$stack" -Wl,--max-memory="$memory" -Wl,--fatal-warnings -Wl,-s
  chmod 644 "$file"
}

# --- used by guest/*/build ---

# Builds module NAME, puts it at build/guest/NAME.wasm and prints that path.
#   --check         only says by its exit status whether that file is there and up to date
#   --update-lock   writes its hash into guest/modules.lock instead of comparing
module() { # name [option]
  local name=$1 option=${2:-} file=$root/build/guest/$1.wasm built hash wanted
  built=$(part "module-$name")/$name.wasm
  case $option in
    --check) cmp -s "$built" "$file"; return ;;
    '' | --update-lock) ;;
    *) die "there is no option '$option'" "options: --check, --update-lock" ;;
  esac
  make_part "module-$name"
  hash=$(sha256sum "$built" | cut -d' ' -f1)
  wanted=$(awk -v name="$name.wasm" '$2 == name { print $1 }' "$guest/modules.lock" 2>/dev/null || true)
  if [[ $option == --update-lock ]]; then
    { grep -v " $name.wasm$" "$guest/modules.lock" 2>/dev/null || true; echo "$hash  $name.wasm"; } |
      sort -k 2 >"$guest/modules.lock.new"
    mv "$guest/modules.lock.new" "$guest/modules.lock"
  elif [[ $hash != "$wanted" ]]; then
    die "$name.wasm has the SHA-256 $hash, guest/modules.lock says ${wanted:-nothing}" \
      "after a change of the guest's sources run guest/$name/build --update-lock and commit the lock; with unchanged sources the build is not reproducible here: report it"
  fi
  mkdir -p "$(dirname "$file")"
  cmp -s "$built" "$file" || install -m 644 "$built" "$file"
  printf '%s\n' "$file"
}
