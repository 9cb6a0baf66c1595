'use strict';

const { serve } = require('./jackfield/serve');

serve(require('./notes'));
