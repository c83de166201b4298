/* 128-bit integers, for money and for hashing: GCC and Clang have them on every 64-bit target. */
#ifndef TRACKERS_INT128_H
#define TRACKERS_INT128_H

#if !defined(__SIZEOF_INT128__)
#error "tallybus needs a compiler with __int128: GCC or Clang for a 64-bit target"
#endif

__extension__ typedef __int128 int128_t;
__extension__ typedef unsigned __int128 uint128_t;

#endif
