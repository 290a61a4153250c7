package main

// Windows of calm name time zones, and small hosts have no database of them.
import _ "time/tzdata"
