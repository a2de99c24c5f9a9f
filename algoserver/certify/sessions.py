"""Scenarios of the session: FIX 4.4 Volume 2. Ids S.n are ours."""

SESSION = """
# S.1 Logon with ResetSeqNumFlag: both numbers begin at 1
> 5
< 5
! connect
> A 98=0 108=30 141=Y
< A 34=1 98=0 108=30 141=Y

# S.2 Logout is answered, and the next Logon goes on with the old numbers
> 5
< 5
! connect
> A 98=0 108=30
< A 98=0 108=30 34>=2 141=-
> 1 112=STILL-HERE
< 0 112=STILL-HERE

# S.3 A heartbeat comes by itself after HeartBtInt
> 5
< 5
! connect
> A 98=0 108=1
< A 108=1
< 0 112=-
> 5
< 5
! connect
> A 98=0 108=30
< A 108=30

# S.4 A test request is answered by a heartbeat with its TestReqID
> 1 112=ARE-YOU-THERE
< 0 112=ARE-YOU-THERE

# S.5 A resend request is answered from its first number to the last, by PossDupFlag or GapFill
> D X work 38=1011
< 8 X 150=0
> 2 7=1 16=0
< resent
> 1 112=AFTER
< 0 112=AFTER

# S.6 A gap in our numbers is asked for, and our gap fill is taken
! skip 2
> 1 112=TOO-EARLY
< 2 16=0
> 1 112=IN-ORDER
< 0 112=IN-ORDER

# S.7 A number too low without PossDupFlag ends the session, and says so
> 1 34=1 112=TOO-LOW
< 5 58=*
! connect
> A 98=0 108=30
< A 108=30

# S.8 A message with a wrong CheckSum is ignored, its number stays free
! garble
> 1 112=AFTER
< 0 112=AFTER

# S.9 A stranger's Logon is not answered
> 5
< 5
! connect
> A 49=STRANGER 34=1 98=0 108=30
< closed
! connect
> A 98=0 108=30
< A 108=30

# S.10 A field that is no number: 373=6
> D X work 38=many
< 3 371=38 372=D 373=6

# S.11 A required field is missing: 373=1
> D X work 38=1012 -40 -44
< 3 371=40 372=D 373=1

# S.12 A field that the message does not have: 373=2
> D X work 38=1013 150=0
< 3 371=150 372=D 373=2

# S.13 A value that HandlInst does not have: 373=5
> D X work 38=1014 21=9
< 3 371=21 372=D 373=5

# S.14 A message type that FIX does not have: 373=11
> ZZ 58=NONE
< 3 372=ZZ 373=11

# S.15 A message type that is not supported: 35=j, 380=3
> B 148=News 33=1 58=Hello
< j 372=B 380=3
"""
