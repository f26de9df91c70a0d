-- The module `.base64` of aos: encode and decode. Decoding passes over what is no digit and takes both alphabets.
local digest = require("digest")
return { encode = digest.to_base64, decode = digest.from_base64 }
