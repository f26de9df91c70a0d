# The two exception tags of a module: what C++ throws and what longjmp throws. clang refers to them and defines neither.
.globl __cpp_exception
.tagtype __cpp_exception i64
__cpp_exception:

.globl __c_longjmp
.tagtype __c_longjmp i64
__c_longjmp:
