#!/usr/bin/env python3
"""Checks licences and sources of all dependencies against deny.toml: exits 1 and names each that is not allowed.

Licences are what the packages declare; each OR needs one allowed side, each AND both. A source is allowed if Cargo.lock
names it and holds a checksum. Allowances that nothing needs are errors too, so that the list stays true.
"""

import doctest
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Expression:
    """An SPDX licence expression, as a tree: a name, or ("OR" | "AND", left, right).

    >>> Expression("MIT OR Apache-2.0 AND ISC").tree
    ('OR', 'MIT', ('AND', 'Apache-2.0', 'ISC'))
    >>> Expression("(MIT/Apache-2.0) AND Unicode-3.0").tree
    ('AND', ('OR', 'MIT', 'Apache-2.0'), 'Unicode-3.0')
    >>> Expression("Apache-2.0 WITH LLVM-exception OR MIT").tree
    ('OR', 'Apache-2.0 WITH LLVM-exception', 'MIT')
    >>> Expression("MIT OR").tree
    Traceback (most recent call last):
    ValueError: not a licence expression: MIT OR
    >>> Expression("MIT Apache-2.0").tree
    Traceback (most recent call last):
    ValueError: not a licence expression: MIT Apache-2.0
    """

    def __init__(self, text):
        self.text = text
        self.tokens = re.findall(r"[()]|[A-Za-z0-9.+:-]+", text.replace("/", " OR "))
        self.tree = self.any_of()
        if self.tokens:
            self.fail()

    def fail(self):
        raise ValueError(f"not a licence expression: {self.text}")

    def accept(self, token):
        if self.tokens and self.tokens[0] == token:
            return self.tokens.pop(0)
        return None

    def any_of(self):
        tree = self.all_of()
        while self.accept("OR"):
            tree = ("OR", tree, self.all_of())
        return tree

    def all_of(self):
        tree = self.one()
        while self.accept("AND"):
            tree = ("AND", tree, self.one())
        return tree

    def one(self):
        if self.accept("("):
            tree = self.any_of()
            if not self.accept(")"):
                self.fail()
            return tree
        name = self.name()
        if self.accept("WITH"):
            name += f" WITH {self.name()}"
        return name

    def name(self):
        if not self.tokens or self.tokens[0] in ("(", ")", "OR", "AND", "WITH"):
            self.fail()
        return self.tokens.pop(0)


def allowed_by(tree, allowed):
    """The set of allowed licences that satisfies the expression, or None.

    >>> allowed_by(Expression("GPL-3.0 OR (MIT AND ISC)").tree, {"MIT", "ISC"}) == {"MIT", "ISC"}
    True
    >>> allowed_by(Expression("MIT AND GPL-3.0").tree, {"MIT"}) is None
    True
    >>> allowed_by(Expression("Apache-2.0 WITH LLVM-exception").tree, {"Apache-2.0"}) is None
    True
    """
    if isinstance(tree, str):
        return {tree} if tree in allowed else None
    operator, *sides = tree
    left, right = (allowed_by(side, allowed) for side in sides)
    if operator == "OR":
        return left if left is not None else right
    return left | right if left is not None and right is not None else None


def licence_errors(packages, rules):
    """One line for each package whose licence is not allowed, and for each allowance that nothing needs."""
    allow = set(rules["allow"])
    exceptions = {rule["crate"]: set(rule["allow"]) for rule in rules["exceptions"]}
    used, excepted = set(), set()
    for package in packages:
        what = f"{package['name']} {package['version']}"
        if not package["license"]:
            yield f"{what} declares no licence"
            continue
        try:
            tree = Expression(package["license"]).tree
        except ValueError as error:
            yield f"{what}: {error}"
            continue
        by = allowed_by(tree, allow)
        if by is None:
            by = allowed_by(tree, allow | exceptions.get(package["name"], set()))
            excepted.add(package["name"])
        if by is None:
            yield f"{what} is {package['license']}, which deny.toml does not allow"
        else:
            used |= by
    for name in sorted(allow - used):
        yield f"deny.toml allows {name}, which nothing needs: remove it"
    for name in sorted(exceptions.keys() - excepted):
        yield f"deny.toml has an exception for {name}, which nothing needs: remove it"


def source_errors(locked, rules):
    """One line for each package of Cargo.lock that comes from elsewhere, or without a checksum.

    >>> rules = {"allow-registry": ["https://index"]}
    >>> list(source_errors([{"name": "a", "version": "1", "source": "registry+https://index", "checksum": "c"}], rules))
    []
    >>> list(source_errors([{"name": "a", "version": "1", "source": "git+https://index"}], rules))
    ['a 1 comes from git+https://index, which deny.toml does not allow']
    >>> list(source_errors([{"name": "a", "version": "1", "source": "registry+https://index"}], rules))
    ['a 1 has no checksum in Cargo.lock']
    >>> list(source_errors([{"name": "a", "version": "1"}], rules))
    []
    """
    allowed = {f"registry+{index}" for index in rules["allow-registry"]}
    for package in locked:
        what = f"{package['name']} {package['version']}"
        if "source" not in package:
            continue  # of this workspace
        if package["source"] not in allowed:
            yield f"{what} comes from {package['source']}, which deny.toml does not allow"
        elif "checksum" not in package:
            yield f"{what} has no checksum in Cargo.lock"


def main():
    if doctest.testmod().failed:
        return 1
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    # The fuzz targets are a workspace of their own, which nobody is given: only where it comes from is looked at.
    locks = [ROOT / "Cargo.lock", ROOT / "fuzz" / "Cargo.lock"]
    locked = [package for lock in locks for package in tomllib.loads(lock.read_text())["package"]]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    metadata = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if metadata.returncode != 0:
        return metadata.returncode
    packages = json.loads(metadata.stdout)["packages"]
    errors = [*licence_errors(packages, rules["licenses"]), *source_errors(locked, rules["sources"])]
    for error in errors:
        print(f"dependencies: {error}", file=sys.stderr)
    if not errors:
        print(f"dependencies: licences and sources of {len(packages)} packages are allowed")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
